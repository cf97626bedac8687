-- Entries with versions and floors that replicas share. All of it is one script, so that a server that has lost it, because it was
-- restarted or another one took over, answers nothing before somebody renewed the epoch: renewing is the one thing it is sent in full for.
-- KEYS: the epoch; where it is about an entry, that. ARGV: what to do, and with what. Gives: the epoch, '' if there is none; what was asked.
-- An entry is a hash: version, data, ends, took (to load), epoch (its load began in); floor, stands (until when it does).
-- Versions are 16 hex digits, in order as strings. Times are milliseconds of this server's clock.
local epoch_key, key, action = KEYS[1], KEYS[2], ARGV[1]

if action == 'renew' then
  -- Memory may be too short to set, but never to delete.
  redis.call('DEL', epoch_key)
  redis.call('SET', epoch_key, ARGV[2])
  return {ARGV[2]}
elseif action == 'claim' then
  local claimed = redis.call('SET', key, '', 'NX', 'PX', ARGV[2])
  return {'', claimed and 1 or 0}
end

local epoch = redis.call('GET', epoch_key) or ''
if action == 'beat' then
  return {epoch}
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', key, 'version', 'ends', 'epoch', 'floor', 'stands')
local version, ends, floor, stands = kept[1], tonumber(kept[2] or '0'), kept[4], tonumber(kept[5] or '0')
if ends <= now or kept[3] ~= epoch or epoch == '' then
  version, ends = nil, 0
end
if stands <= now then
  floor, stands = nil, 0
end

local function whole(number)
  return string.format('%.0f', number)
end

if action == 'get' then
  if not version then
    return {epoch}
  end
  local rest = redis.call('HMGET', key, 'data', 'took')
  return {epoch, version, rest[1], ends - now, rest[2]}
elseif action == 'put' then
  local of, new, data, lives, took = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
  if of ~= epoch or lives <= 0 or (version and version > new) or (floor and floor > new) then
    return {epoch, 0}
  end
  ends = now + lives
  redis.call('HSET', key, 'version', new, 'data', data, 'ends', whole(ends), 'took', took, 'epoch', of)
  redis.call('PEXPIREAT', key, whole(math.max(ends, stands)))
  return {epoch, 1}
elseif action == 'remove' then
  local new, lives = ARGV[2], tonumber(ARGV[3])
  if not version or version < new then
    -- First, because this goes also where memory is too short for what follows.
    redis.call('HDEL', key, 'version', 'data', 'ends', 'took', 'epoch')
    ends = 0
  end
  if floor and floor > new then
    new = floor
  end
  stands = math.max(stands, now + lives)
  redis.call('HSET', key, 'floor', new, 'stands', whole(stands))
  redis.call('PEXPIREAT', key, whole(math.max(ends, stands)))
  return {epoch}
end
return redis.error_reply('ERR no such action')
