#!lua flags=allow-oom
-- Counts a nudge, and makes the payment due now unless somebody works on it.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 now (ms)  3 wake-up channel
-- Returns: 'due' | 'busy' | 'finished' | 'missing'
local nonce = redis.call('HGET', KEYS[1], 'nonce')
if not nonce then return 'missing' end
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return 'finished' end

redis.call('HINCRBY', KEYS[1], 'nudges', 1)
if nonce ~= '' and tonumber(score) > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'stirred', 1)
  return 'busy'
end
redis.call('ZADD', KEYS[2], 'XX', 'LT', ARGV[2], ARGV[1])
redis.pcall('PUBLISH', ARGV[3], '')
return 'due'
