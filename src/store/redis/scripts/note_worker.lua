#!lua flags=allow-oom
-- Writes what a worker says of itself, though the memory be full: whoever stops something would not wait
-- for a worker that is not seen.
-- KEYS: 1 workers
-- ARGV: 1 worker  2 its note
-- Returns: 'noted'

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'noted'
