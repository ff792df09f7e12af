#!lua flags=allow-oom
-- Takes the bytes out of quarantine for good; who did it and why is noted beside what was before.
-- KEYS: 1 quarantined bytes  2 deeds
-- ARGV: 1 id in quarantine  2 what is noted
-- Returns: 'dropped' | 'missing'
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 'missing' end

redis.call('HSET', KEYS[2], ARGV[1], (redis.call('HGET', KEYS[2], ARGV[1]) or '') .. ARGV[2] .. '\n')
redis.call('HDEL', KEYS[1], ARGV[1])
return 'dropped'
