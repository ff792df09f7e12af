#!lua flags=allow-oom
-- Ends a delivery that was accepted, or is wanted no more; the payment's next event, if one is pending,
-- is due at once. If a crash tears this apart, the payment is due when the lease ends.
-- KEYS: 1 due  2 notes  3 events  4 ages
-- ARGV: 1 payment  2 nonce  3 entry  4 its name  5 now (ms)  6 when it was accepted (ms; '' if not)
-- Returns: 'delivered' | 'lost'
if redis.call('HGET', KEYS[2], 'nonce:' .. ARGV[1]) ~= ARGV[2] then return 'lost' end

redis.call('ZREM', KEYS[4], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[3])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'accepted', ARGV[6]) end
redis.call('HDEL', KEYS[2], 'nonce:' .. ARGV[1], 'tries:' .. ARGV[1], 'first:' .. ARGV[1])
local next = redis.call('ZRANGE', KEYS[3], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';',
  'BYLEX', 'LIMIT', 0, 1)
if next[1] then
  redis.call('ZADD', KEYS[1], 'XX', ARGV[5], ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return 'delivered'
