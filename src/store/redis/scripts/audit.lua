#!lua flags=allow-oom
-- Adds an entry to the audit log. The same once more, with nothing in between, is a repeat.
-- KEYS: 1 audit
-- ARGV: 1 audit entry  2 its SHA-256
-- Returns: 'noted'
local head = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = head and head[2] or {}
if last[6] == ARGV[1] then return 'noted' end

local n, link = (tonumber(last[2]) or 0) + 1, last[4] or string.rep('0', 40)
redis.call('XADD', KEYS[1], '*', 'n', n, 'link', redis.sha1hex(link .. ARGV[2]), 'entry', ARGV[1])
return 'noted'
