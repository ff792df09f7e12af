#!lua flags=allow-oom
-- Pushes what is in quarantine anew. If a crash tears this apart, it is pushed and still there.
-- KEYS: 1 intake  2 quarantine  3 quarantined bytes
-- ARGV: 1 id in quarantine  2 wake-up channel
-- Returns: 'pushed' | 'missing'
local element = redis.call('HGET', KEYS[3], ARGV[1])
if not element then return 'missing' end

redis.call('RPUSH', KEYS[1], element)
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.pcall('PUBLISH', ARGV[2], '')
return 'pushed'
