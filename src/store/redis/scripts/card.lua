#!lua flags=allow-oom
-- Writes what is known of a card, unless somebody wrote since it was read. No two writes are alike, so
-- a repeat is answered as the first time. A card of which something is wanted is in the index before
-- it says so, and leaves it after: if a crash tears this apart, whoever takes it finds nothing to do.
-- KEYS: 1 card  2 index of what is due
-- ARGV: 1 id  2 written before ('' for nothing)  3 written from now on
--       4 due (ms), '' if nothing is wanted  5 time to live (ms), '' while something is
-- Returns: 'kept' | 'outdated'
local found = redis.call('GET', KEYS[1]) or ''
if found == ARGV[3] then return 'kept' end
if found ~= ARGV[2] then return 'outdated' end

if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[5])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'kept'
