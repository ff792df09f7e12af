#!lua flags=allow-oom
-- Lets the lease of a claim end later.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 nonce  3 end of the lease (ms)
-- Returns: 'renewed' | 'lost'
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[2] then return 'lost' end

redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])
return 'renewed'
