#!lua flags=allow-oom
-- Keeps a record for ever that was to expire, if it is still as it was looked at.
-- KEYS: 1 payment
-- ARGV: 1 version found
-- Returns: 'mended' | 'missing' | 'outdated'
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if version ~= ARGV[1] then return 'outdated' end

redis.call('PERSIST', KEYS[1])
return 'mended'
