#!lua flags=allow-oom
-- Takes the first pending event of a payment that is due, until the lease ends; a payment without one
-- leaves the index. A repeat under the same nonce is answered as the first time.
-- KEYS: 1 due  2 notes  3 events
-- ARGV: 1 payment  2 now (ms)  3 end of the lease (ms)  4 nonce
-- Returns: false (not due) | {} (nothing is pending) | {entry, tries in vain, first of them (ms or '')}
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return false end
local found = redis.call('HMGET', KEYS[2], 'nonce:' .. ARGV[1], 'tries:' .. ARGV[1],
  'first:' .. ARGV[1])
if tonumber(score) > tonumber(ARGV[2]) and found[1] ~= ARGV[4] then return false end

local first = redis.call('ZRANGE', KEYS[3], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';',
  'BYLEX', 'LIMIT', 0, 1)
if not first[1] then
  redis.call('HDEL', KEYS[2], 'nonce:' .. ARGV[1], 'tries:' .. ARGV[1], 'first:' .. ARGV[1])
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[1], 'XX', ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], 'nonce:' .. ARGV[1], ARGV[4])
return {first[1], found[2] or '0', found[3] or ''}
