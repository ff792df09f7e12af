#!lua flags=allow-oom
-- Takes what was handled off an intake, and ends the lease; what was refused is in quarantine first.
-- Each by what it is, not by where it stands: if a crash tears this apart, and Redis carries the
-- beginning out once more at a later start, nothing goes that was not handled.
-- KEYS: 1 intake  2 lease  3 quarantine  4 quarantined bytes
-- ARGV: 1 nonce, and for each: element  id in quarantine ('' for none)  what is noted there
-- Returns: 'settled' | 'lost'
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'lost' end

for i = 2, #ARGV, 3 do
  if ARGV[i + 1] ~= '' then
    redis.call('HSET', KEYS[4], ARGV[i + 1], ARGV[i])
    redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 2])
  end
  redis.call('LREM', KEYS[1], 1, ARGV[i])
end
redis.call('DEL', KEYS[2])
return 'settled'
