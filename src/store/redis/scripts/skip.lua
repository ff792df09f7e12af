#!lua flags=allow-oom
-- Takes one event off what is pending for an endpoint, which did not accept it; the payment's next one,
-- if one is pending, is due at once. If a crash tears this apart, a take finds what is left.
-- KEYS: 1 due  2 notes  3 events  4 ages
-- ARGV: 1 payment  2 entry  3 its name  4 now (ms)
-- Returns: 'skipped' | 'missing'
if not redis.call('ZSCORE', KEYS[3], ARGV[2]) then return 'missing' end

local first = redis.call('ZRANGE', KEYS[3], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';',
  'BYLEX', 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[4], ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[2])
if first[1] == ARGV[2] then
  redis.call('HDEL', KEYS[2], 'nonce:' .. ARGV[1], 'tries:' .. ARGV[1], 'first:' .. ARGV[1])
  redis.call('ZADD', KEYS[1], 'XX', ARGV[4], ARGV[1])
end
return 'skipped'
