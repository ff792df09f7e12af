#!lua flags=allow-oom
-- Notes as what something in quarantine is put right, unless it is noted as something already: whoever
-- puts it right, and however often, asks for one thing.
-- KEYS: 1 quarantined bytes  2 deeds
-- ARGV: 1 id in quarantine  2 as what
-- Returns: 'missing' | 'noted' | as what it was noted before
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 'missing' end
local before = redis.call('HGET', KEYS[2], 'as:' .. ARGV[1])
if before then return before end

redis.call('HSET', KEYS[2], 'as:' .. ARGV[1], ARGV[2])
return 'noted'
