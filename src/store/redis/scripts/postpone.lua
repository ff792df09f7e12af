#!lua flags=allow-oom
-- Ends a delivery that was not accepted: the same event is due again later.
-- KEYS: 1 due  2 notes
-- ARGV: 1 payment  2 nonce  3 due (ms)  4 tries in vain ('0' forgets them)  5 first of them (ms)
-- Returns: 'postponed' | 'lost'
if redis.call('HGET', KEYS[2], 'nonce:' .. ARGV[1]) ~= ARGV[2] then return 'lost' end

if ARGV[4] == '0' then
  redis.call('HDEL', KEYS[2], 'tries:' .. ARGV[1], 'first:' .. ARGV[1])
else
  redis.call('HSET', KEYS[2], 'tries:' .. ARGV[1], ARGV[4], 'first:' .. ARGV[1], ARGV[5])
end
redis.call('HDEL', KEYS[2], 'nonce:' .. ARGV[1])
redis.call('ZADD', KEYS[1], 'XX', ARGV[3], ARGV[1])
return 'postponed'
