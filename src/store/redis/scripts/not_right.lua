#!lua flags=allow-oom
-- Forgets as what something in quarantine was to be put right, as that was refused.
-- KEYS: 1 deeds
-- ARGV: 1 id in quarantine  2 as what
-- Returns: 'forgotten' | 'outdated'
if redis.call('HGET', KEYS[1], 'as:' .. ARGV[1]) ~= ARGV[2] then return 'outdated' end

redis.call('HDEL', KEYS[1], 'as:' .. ARGV[1])
return 'forgotten'
