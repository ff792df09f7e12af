#!lua
-- Records a payment, unless its key is taken. The record comes behind its indexes, and the event and the
-- face behind the record, which says so: if a crash tears this apart, a repeat does all of it again, or a
-- turn tells and shows what was not.
-- KEYS: 1 payment  2 due  3 states  4 events
-- ARGV: 1 id  2 write  3 state  4 place in the index  5 due (ms)  6 fingerprint  7 body
--       8 event  9 entry by its reference ('' without one)  10 wake-up channel  11 run of Redis
--       12 entry by its face
-- Returns: {'created'} | {'existing', fingerprint}
local found = redis.call('HMGET', KEYS[1], 'version', 'write', 'fingerprint')
if found[1] == '1' and found[2] == ARGV[2] then return {'created'} end
if found[1] then return {'existing', found[3]} end

redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[3] .. ':' .. ARGV[4])
if ARGV[9] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[9]) end
redis.call('HSET', KEYS[1], 'version', 1, 'write', ARGV[2], 'state', ARGV[3], 'nonce', '', 'nudges', 0,
  'barren', 0, 'fingerprint', ARGV[6], 'body', ARGV[7], 'told', '', 'face', '\n' .. ARGV[12])
redis.call('XADD', KEYS[4], '*', 'event', ARGV[8], 'run', ARGV[11])
redis.call('ZADD', KEYS[3], 0, ARGV[12])
redis.call('HSET', KEYS[1], 'told', ARGV[3], 'face', ARGV[12])
redis.pcall('PUBLISH', ARGV[10], '')
return {'created'}
