#!lua flags=allow-oom
-- Forgets why something was in quarantine, once its bytes are gone.
-- KEYS: 1 quarantine  2 quarantined bytes  3 deeds
-- ARGV: 1 id in quarantine
-- Returns: 'purged' | 'kept'
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 'kept' end

redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1], 'as:' .. ARGV[1])
return 'purged'
