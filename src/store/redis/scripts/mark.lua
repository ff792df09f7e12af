#!lua flags=allow-oom
-- Writes down what was decided about an endpoint, unless somebody decided since the mark was read. A
-- repeat is answered as the first time.
-- KEYS: 1 endpoints
-- ARGV: 1 endpoint  2 mark found ('' for none)  3 mark from now on
-- Returns: 'marked' | 'outdated'
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 'marked' end
if found ~= ARGV[2] then return 'outdated' end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'marked'
