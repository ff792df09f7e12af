#!lua flags=allow-oom
-- Writes what is known of a card (or what an operator plans: all the same), unless somebody wrote since
-- it was read. No two writes are alike, so
-- a repeat is answered as the first time. A card of which something is wanted is in the index before
-- it says so, and leaves it after: if a crash tears this apart, whoever takes it finds nothing to do.
-- The audit log has first what somebody asked of it.
-- KEYS: 1 card  2 index of what is due  3 audit
-- ARGV: 1 id  2 written before ('' for nothing)  3 written from now on
--       4 due (ms), '' if nothing is wanted  5 time to live (ms), '' while something is
--       6 audit entry ('' for none)  7 its SHA-256
-- Returns: 'kept' | 'outdated'
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[3] then return 'kept' end
if found ~= ARGV[2] then return 'outdated' end
local head = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
local last = head and head[2] or {}

if ARGV[6] ~= '' then
  local n, link = (tonumber(last[2]) or 0) + 1, last[4] or string.rep('0', 40)
  redis.call('XADD', KEYS[3], '*', 'n', n, 'link', redis.sha1hex(link .. ARGV[7]), 'entry', ARGV[6])
end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[5])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'kept'
