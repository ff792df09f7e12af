#!lua
-- Ends a claim without a change to the payment.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 nonce  3 due (ms)  4 due if commanded or nudged meanwhile (ms)
--       5 wake-up channel
-- Returns: 'given' | 'lost'
local found = redis.call('HMGET', KEYS[1], 'nonce', 'stirred')
if found[1] ~= ARGV[2] then return 'lost' end

redis.call('HSET', KEYS[1], 'nonce', '')
redis.call('HDEL', KEYS[1], 'stirred')
redis.call('ZADD', KEYS[2], 'XX', found[2] and ARGV[4] or ARGV[3], ARGV[1])
redis.call('PUBLISH', ARGV[5], '')
return 'given'
