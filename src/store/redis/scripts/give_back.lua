#!lua flags=allow-oom
-- Ends a claim without a change to the payment.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 nonce  3 due (ms)  4 now, and due if commanded or nudged meanwhile (ms)
--       5 what is added to the count of barren claims  6 wake-up channel
-- Returns: 'given' | 'lost'
local found = redis.call('HMGET', KEYS[1], 'nonce', 'stirred')
if found[1] ~= ARGV[2] then return 'lost' end

local due = found[2] and ARGV[4] or ARGV[3]
redis.call('HSET', KEYS[1], 'nonce', '')
redis.call('HDEL', KEYS[1], 'stirred')
redis.call('HINCRBY', KEYS[1], 'barren', ARGV[5])
redis.call('ZADD', KEYS[2], 'XX', due, ARGV[1])
if tonumber(due) <= tonumber(ARGV[4]) then redis.pcall('PUBLISH', ARGV[6], '') end
return 'given'
