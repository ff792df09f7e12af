#!lua flags=allow-oom
-- Moves the place up to where a reader has read the events, unless another worker did. It takes the
-- room of the old one.
-- KEYS: 1 cursors
-- ARGV: 1 reader  2 place found  3 place from now on
-- Returns: 'passed' | 'outdated'
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 'outdated' end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'passed'
