#!lua flags=allow-oom
-- Takes what was handled off an intake, and answers it; what was refused is in quarantine first. All of
-- it only for whoever has the lease: nobody else may say that something was refused. Each by what it
-- is, not by where it stands: if a crash tears this apart, and Redis carries the beginning out once
-- more at a later start, nothing goes that was not handled, and nothing is answered that is still there.
-- KEYS: 1 intake  2 lease  3 quarantine  4 quarantined bytes  5… answers
-- ARGV: 1 nonce  2 'ends' or 'stays': the lease  3 time to live of answers (ms), and for each:
--       element  id in quarantine ('' for none)  what is noted there
--       which of KEYS is its answer ('' for none)  the answer
-- Returns: 'settled' | 'lost'
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'lost' end

for i = 4, #ARGV, 5 do
  if ARGV[i + 1] ~= '' then
    redis.call('HSET', KEYS[4], ARGV[i + 1], ARGV[i])
    redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 2])
  end
  redis.call('LREM', KEYS[1], 1, ARGV[i])
  if ARGV[i + 3] ~= '' then
    redis.call('SET', KEYS[tonumber(ARGV[i + 3])], ARGV[i + 4], 'PX', ARGV[3])
  end
end
if ARGV[2] == 'ends' then redis.call('DEL', KEYS[2]) end
return 'settled'
