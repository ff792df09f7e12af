#!lua flags=allow-oom
-- Writes an answer to what was pushed, unless the one that is there already is to stay.
-- KEYS: 1 answers
-- ARGV: 1 SHA-256 of what was pushed  2 answer  3 time to live (ms)
--       4 how an answer begins that stays ('' for none)
-- Returns: 'written' | 'kept'
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found and ARGV[4] ~= '' and string.sub(found, 1, #ARGV[4]) == ARGV[4] then return 'kept' end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'written'
