#!lua flags=allow-oom
-- Takes the bytes out of quarantine for good; who did it and why is noted in their place.
-- KEYS: 1 quarantine  2 quarantined bytes
-- ARGV: 1 id in quarantine  2 what is noted
-- Returns: 'dropped' | 'missing'
local element = redis.call('HGET', KEYS[2], ARGV[1])
if not element then return 'missing' end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[1])
return 'dropped'
