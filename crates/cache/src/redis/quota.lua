-- Takes one from a quota, unless it is used up: of any window, wherever it begins, at most `limit` are taken.
-- KEYS[1]: a list of the times at which one was taken, in microseconds of this server's clock, the oldest first.
-- ARGV: limit, window in microseconds. Gives: 1 or 0, what is left, microseconds until more is.
local key, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- A clock that is set back gives nothing away.
now = math.max(now, tonumber(redis.call('LINDEX', key, -1) or '0'))

local oldest = tonumber(redis.call('LINDEX', key, 0) or now)
while oldest + window <= now do
  redis.call('LPOP', key)
  oldest = tonumber(redis.call('LINDEX', key, 0) or now)
end

local taken = redis.call('LLEN', key)
if taken >= limit then
  -- Where the limit was higher before, more than one has to go.
  local last = tonumber(redis.call('LINDEX', key, taken - limit))
  return {0, 0, last + window - now}
end
redis.call('RPUSH', key, string.format('%.0f', now))
redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
return {1, limit - taken - 1, oldest + window - now}
