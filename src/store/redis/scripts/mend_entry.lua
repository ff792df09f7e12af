#!lua flags=allow-oom
-- Enters a payment where it belongs in the index, and takes it out where it does not, if its record is
-- still as it was looked at.
-- KEYS: 1 payment  2 states
-- ARGV: 1 version found  2 entry that is missing ('' for none)  3 entry that is too much ('' for none)
-- Returns: 'mended' | 'missing' | 'outdated'
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if version ~= ARGV[1] then return 'outdated' end

if ARGV[2] ~= '' then redis.call('ZADD', KEYS[2], 0, ARGV[2]) end
if ARGV[3] ~= '' then redis.call('ZREM', KEYS[2], ARGV[3]) end
return 'mended'
