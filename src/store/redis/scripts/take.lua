#!lua flags=allow-oom
-- Reads the oldest of an intake, for whoever gets the lease. One that is too long comes alone, as its
-- length and SHA-1. Whoever has the lease may read on, behind those that it leaves; it ends where
-- nothing is left to read.
-- KEYS: 1 intake  2 lease
-- ARGV: 1 nonce  2 lease (ms)  3 elements at most  4 bytes at most  5 longest element (bytes)
--       6 how many are left where they are
-- Returns: false (another has the lease) | {element, …} | {{length, sha1}}
local held, left = redis.call('GET', KEYS[2]), tonumber(ARGV[6])
if held ~= ARGV[1] and (held or left > 0) then return false end
local taken, bytes = {}, 0
for i = 0, tonumber(ARGV[3]) - 1 do
  local element = redis.call('LINDEX', KEYS[1], left + i)
  if not element then break end
  bytes = bytes + #element
  local too_long = #element > tonumber(ARGV[5])
  if i > 0 and (too_long or bytes > tonumber(ARGV[4])) then break end
  taken[i + 1] = too_long and {#element, redis.sha1hex(element)} or element
  if too_long then break end
end

if #taken > 0 then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
elseif held then
  redis.call('DEL', KEYS[2])
end
return taken
