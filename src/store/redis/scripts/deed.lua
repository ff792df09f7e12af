#!lua flags=allow-oom
-- Notes what was done about an endpoint. The same once more, with nothing in between, is a repeat.
-- KEYS: 1 deeds
-- ARGV: 1 deed  2 about how many are kept
-- Returns: 'noted'
local head = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if head and head[2][2] == ARGV[1] then return 'noted' end

redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'deed', ARGV[1])
return 'noted'
