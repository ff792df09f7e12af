#!lua flags=allow-oom
-- Pushes what is in quarantine anew; why it was there, who did this and why stay. The refusal is no
-- longer read from before it may be done. If a crash tears this apart, it is pushed and still there.
-- KEYS: 1 intake  2 quarantined bytes  3 deeds  4 its answer, if it has one
-- ARGV: 1 id in quarantine  2 what is noted  3 wake-up channel
-- Returns: 'pushed' | 'missing'
local element = redis.call('HGET', KEYS[2], ARGV[1])
if not element then return 'missing' end

if KEYS[4] then redis.call('DEL', KEYS[4]) end
redis.call('HSET', KEYS[3], ARGV[1], (redis.call('HGET', KEYS[3], ARGV[1]) or '') .. ARGV[2] .. '\n')
redis.call('RPUSH', KEYS[1], element)
redis.call('HDEL', KEYS[2], ARGV[1])
redis.pcall('PUBLISH', ARGV[3], '')
return 'pushed'
