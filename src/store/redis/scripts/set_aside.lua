#!lua flags=allow-oom
-- Puts the next of an intake, which is too long to be read, into quarantine, and ends the lease.
-- KEYS: 1 intake  2 lease  3 quarantine  4 quarantined bytes
-- ARGV: 1 nonce  2 SHA-1 of the element  3 id in quarantine  4 what is noted there
--       5 how many stand before it
-- Returns: 'settled' | 'lost'
local nonce, element = redis.call('GET', KEYS[2]), redis.call('LINDEX', KEYS[1], ARGV[5])
if nonce ~= ARGV[1] then return 'lost' end
if not element or redis.sha1hex(element) ~= ARGV[2] then return 'lost' end

redis.call('HSET', KEYS[4], ARGV[3], element)
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
redis.call('LREM', KEYS[1], 1, element)
redis.call('DEL', KEYS[2])
return 'settled'
