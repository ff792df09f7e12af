#!lua
-- Copies events to the pending ones of an endpoint, and moves its cursor behind them, unless another
-- worker did. The cursor comes last: if a crash tears this apart, a repeat does all of it again.
-- KEYS: 1 cursors  2 due  3 events  4 ages
-- ARGV: 1 endpoint  2 cursor found  3 cursor from now on  4 now (ms)
--       and of each event: payment, entry, name, when it happened (ms)
-- Returns: 'spread' | 'outdated'
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 'outdated' end

for i = 5, #ARGV, 4 do
  redis.call('ZADD', KEYS[3], 0, ARGV[i + 1])
  redis.call('ZADD', KEYS[4], ARGV[i + 3], ARGV[i + 2])
  redis.call('ZADD', KEYS[2], 'NX', ARGV[4], ARGV[i])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'spread'
