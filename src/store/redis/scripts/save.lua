#!lua flags=allow-oom
-- Writes a claimed payment with its indexes and its event, and lets the claim go on or end. If a crash
-- tears this apart, the payment is due still, and its next turn does all of it again: what was told and
-- shown is compared, not what was stored, and until a new face stands alone the record names both.
-- KEYS: 1 payment  2 due  3 states  4 events
-- ARGV: 1 id  2 version found  3 nonce  4 write  5 state  6 place in the index  7 body  8 event
--       9 time to live (ms; '' for ever)  10 nonce from now on ('' ends the claim)  11 due (ms; '' for
--       never)  12 due if nudged (ms)  13 nudges known  14 run of Redis  15 entry by its face ('' none)
-- Returns: {'written', nudges} | {'missing'} | {'lost'} | {'outdated'}
local found = redis.call('HMGET', KEYS[1], 'version', 'nonce', 'write', 'state', 'nudges', 'told', 'face')
local version, nonce, write, state, nudges, told, face = unpack(found)
if not version then return {'missing'} end
local applied = write == ARGV[4] and tonumber(version) == tonumber(ARGV[2]) + 1
if applied and (ARGV[10] == '' or nonce == ARGV[10]) then return {'written', nudges} end
if nonce ~= ARGV[3] then return {'lost'} end
if version ~= ARGV[2] then return {'outdated'} end
told = told or state
local faces = face == ARGV[15] and face or (face or '') .. '\n' .. ARGV[15]

if state ~= ARGV[5] then
  redis.call('ZREM', KEYS[3], state .. ':' .. ARGV[6])
  redis.call('ZADD', KEYS[3], 0, ARGV[5] .. ':' .. ARGV[6])
end
redis.call('HSET', KEYS[1], 'write', ARGV[4], 'state', ARGV[5], 'body', ARGV[7],
  'nonce', ARGV[10], 'barren', 0, 'told', told, 'face', faces)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'stirred')
if told ~= ARGV[5] then redis.call('XADD', KEYS[4], '*', 'event', ARGV[8], 'run', ARGV[14]) end
if faces ~= ARGV[15] then
  for old in string.gmatch(face or '', '[^\n]+') do redis.call('ZREM', KEYS[3], old) end
  if ARGV[15] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[15]) end
end
if told ~= ARGV[5] or faces ~= ARGV[15] then
  redis.call('HSET', KEYS[1], 'told', ARGV[5], 'face', ARGV[15])
end
local nudged = tonumber(nudges) > tonumber(ARGV[13])
if ARGV[11] ~= '' then redis.call('ZADD', KEYS[2], nudged and ARGV[12] or ARGV[11], ARGV[1])
else redis.call('ZREM', KEYS[2], ARGV[1]) end
if ARGV[9] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[9]) end
return {'written', nudges}
