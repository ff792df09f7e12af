#!lua flags=allow-oom
-- Makes a payment due that is in no due index, or is due much too late, if its record is still as it was
-- looked at.
-- KEYS: 1 payment  2 due
-- ARGV: 1 id  2 version found  3 now (ms)  4 wake-up channel
--       5 it stays as it is if it is due by then (ms)
-- Returns: 'mended' | 'needless' | 'missing' | 'outdated'
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if version ~= ARGV[2] then return 'outdated' end
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if score and tonumber(score) <= tonumber(ARGV[5]) then return 'needless' end

redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.pcall('PUBLISH', ARGV[4], '')
return 'mended'
