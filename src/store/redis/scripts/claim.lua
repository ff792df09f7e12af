#!lua flags=allow-oom
-- Claims a payment that is due, until the lease ends. A repeat under the same nonce is answered
-- as the first time.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 now (ms)  3 end of the lease (ms)  4 nonce
-- Returns: false (not due) | {} (due, but there is no record) | {version, state, nudges, barren, body,
-- due (ms; in a repeat the end of the lease)}
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return false end
local found = redis.call('HMGET', KEYS[1], 'version', 'state', 'nudges', 'barren', 'body', 'nonce')
local repeated = found[6] == ARGV[4]
if tonumber(score) > tonumber(ARGV[2]) and not repeated then return false end

redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])
if not found[1] then return {} end
if not repeated then
  redis.call('HSET', KEYS[1], 'nonce', ARGV[4])
  redis.call('HDEL', KEYS[1], 'stirred')
  found[4] = redis.call('HINCRBY', KEYS[1], 'barren', 1)
end
return {found[1], found[2], found[3], tostring(found[4]), found[5], score}
