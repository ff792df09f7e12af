#!lua flags=allow-oom
-- Stops something or lets it go on, unless somebody switched it since it was read. A repeat is answered
-- as the first time. The audit log has it first; the version goes up before the change: if a crash tears
-- this apart, a repeat does all of it again.
-- KEYS: 1 switches  2 audit
-- ARGV: 1 which  2 what stands there ('' for nothing)  3 what is to ('' for nothing)
--       4 audit entry  5 its SHA-256  6 wake-up channel
-- Returns: {'switched', version} | {'outdated'}
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local version = redis.call('HGET', KEYS[1], 'version') or 0
if found == ARGV[3] then return {'switched', tonumber(version)} end
if found ~= ARGV[2] then return {'outdated'} end
local head = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local last = head and head[2] or {}

local n, link = (tonumber(last[2]) or 0) + 1, last[4] or string.rep('0', 40)
redis.call('XADD', KEYS[2], '*', 'n', n, 'link', redis.sha1hex(link .. ARGV[5]), 'entry', ARGV[4])
version = redis.call('HINCRBY', KEYS[1], 'version', 1)
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.pcall('PUBLISH', ARGV[6], '')
return {'switched', version}
