#!lua flags=allow-oom
-- Writes what a command changed. A claim that is held stays as it is, with its lease. If a crash tears
-- this apart, the payment is due too early, never too late, and its next turn shows the right face: until
-- a new one stands alone the record names both.
-- KEYS: 1 payment  2 due  3 states
-- ARGV: 1 id  2 version found  3 write  4 body  5 due (ms; '' leaves it)  6 now (ms)
--       7 wake-up channel  8 entry by its face ('' none)
-- Returns: 'written' | 'missing' | 'outdated'
local found = redis.call('HMGET', KEYS[1], 'version', 'nonce', 'write', 'face')
local version, nonce, write, face = unpack(found)
if not version then return 'missing' end
if write == ARGV[3] and tonumber(version) == tonumber(ARGV[2]) + 1 then return 'written' end
if version ~= ARGV[2] then return 'outdated' end
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local held = nonce ~= '' and score and tonumber(score) > tonumber(ARGV[6])
local frees = not held and score and ARGV[5] ~= ''
local faces = face == ARGV[8] and face or (face or '') .. '\n' .. ARGV[8]

if frees then redis.call('ZADD', KEYS[2], 'XX', 'LT', ARGV[5], ARGV[1]) end
redis.call('HSET', KEYS[1], 'write', ARGV[3], 'body', ARGV[4], 'face', faces)
redis.call('HINCRBY', KEYS[1], 'version', 1)
if faces ~= ARGV[8] then
  for old in string.gmatch(face or '', '[^\n]+') do redis.call('ZREM', KEYS[3], old) end
  if ARGV[8] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[8]) end
  redis.call('HSET', KEYS[1], 'face', ARGV[8])
end
if held then
  redis.call('HSET', KEYS[1], 'stirred', 1)
elseif frees then
  redis.call('HSET', KEYS[1], 'nonce', '')
  redis.call('ZADD', KEYS[2], 'XX', ARGV[5], ARGV[1])
end
redis.pcall('PUBLISH', ARGV[7], '')
return 'written'
