#!lua flags=allow-oom
-- Writes what a command changed. A claim that is held stays as it is, with its lease. The audit log has
-- it before the record: a crash in between leaves an entry of a command that the record does not show, and
-- a payment that is due too early, never too late; its next turn shows the right face: until a new one
-- stands alone the record names both. What was nudged since the door read it is due now, not when it said.
-- KEYS: 1 payment  2 due  3 audit  4 states
-- ARGV: 1 id  2 version found  3 write  4 body  5 due (ms; '' leaves it)  6 now (ms)  7 wake-up channel
--       8 audit entry ('' for none)  9 its SHA-256  10 entry by its face ('' none)  11 nudges known
-- Returns: 'written' | 'missing' | 'outdated'
local found = redis.call('HMGET', KEYS[1], 'version', 'nonce', 'write', 'face', 'nudges')
local version, nonce, write, face, nudges = unpack(found)
if not version then return 'missing' end
if write == ARGV[3] and tonumber(version) == tonumber(ARGV[2]) + 1 then return 'written' end
if version ~= ARGV[2] then return 'outdated' end
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local held = nonce ~= '' and score and tonumber(score) > tonumber(ARGV[6])
local frees = not held and score and ARGV[5] ~= ''
local due = tonumber(nudges) > tonumber(ARGV[11]) and ARGV[6] or ARGV[5]
local last = (redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1] or {})[2] or {}
local faces = face == ARGV[10] and face or (face or '') .. '\n' .. ARGV[10]

if ARGV[8] ~= '' then
  local n, link = (tonumber(last[2]) or 0) + 1, last[4] or string.rep('0', 40)
  redis.call('XADD', KEYS[3], '*', 'n', n, 'link', redis.sha1hex(link .. ARGV[9]), 'entry', ARGV[8])
end
if frees then redis.call('ZADD', KEYS[2], 'XX', 'LT', due, ARGV[1]) end
redis.call('HSET', KEYS[1], 'write', ARGV[3], 'body', ARGV[4], 'face', faces)
redis.call('HINCRBY', KEYS[1], 'version', 1)
if faces ~= ARGV[10] then
  for old in string.gmatch(face or '', '[^\n]+') do redis.call('ZREM', KEYS[4], old) end
  if ARGV[10] ~= '' then redis.call('ZADD', KEYS[4], 0, ARGV[10]) end
  redis.call('HSET', KEYS[1], 'face', ARGV[10])
end
if held then redis.call('HSET', KEYS[1], 'stirred', 1)
elseif frees then
  redis.call('HSET', KEYS[1], 'nonce', '')
  redis.call('ZADD', KEYS[2], 'XX', due, ARGV[1])
end
redis.pcall('PUBLISH', ARGV[7], '')
return 'written'
