#!lua flags=allow-oom
-- Has a card (or a plan) that cannot be read come up later. Of one that is not there nothing can be wanted: it
-- leaves the index.
-- KEYS: 1 card  2 index of what is due
-- ARGV: 1 id  2 when (ms)
-- Returns: 'postponed' | 'removed'

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 'removed'
end
redis.call('ZADD', KEYS[2], 'XX', 'GT', ARGV[2], ARGV[1])
return 'postponed'
