"""The Lua that Redis runs, each script atomic. Time is Redis's own, so that control processes need no common clock.

Keys: `edges:<region>` edges scored by load 0-100 (CTL-01); `seen:<region>` all nodes scored by their last heartbeat in
ms; `node:<id>` hash of the last heartbeat; `map:version`. One Redis or Sentinel, no Cluster: a script touches keys of
several slots.
"""

_COMMON = """
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function bump(floor)
  local version = tonumber(redis.call('GET', 'map:version') or '0')
  if version < floor then version = floor end
  redis.call('SET', 'map:version', string.format('%d', version + 1))
end
local function remove(region, id)
  redis.call('ZREM', 'edges:' .. region, id)
  redis.call('ZREM', 'seen:' .. region, id)
  redis.call('DEL', 'node:' .. id)
end
local function drop_stale(region, oldest, floor)
  local stale = redis.call('ZRANGEBYSCORE', 'seen:' .. region, '-inf', oldest, 'LIMIT', 0, 500)
  for _, id in ipairs(stale) do
    if redis.call('HGET', 'node:' .. id, 'region') == region then
      remove(region, id)
    else
      redis.call('ZREM', 'edges:' .. region, id)
      redis.call('ZREM', 'seen:' .. region, id)
    end
  end
  if #stale > 0 then bump(floor) end
end
local function version_at_least(floor)
  local version = tonumber(redis.call('GET', 'map:version') or '0')
  if version < floor then
    bump(floor)
    version = floor + 1
  end
  return version
end
"""

BEAT = (
    _COMMON
    + """
-- ARGV: id, region, load, expiry_ms, known version, standing, then field value ... of the hash
local id, region, load, expiry, floor = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local key = 'node:' .. id
local old = redis.call('HMGET', key, 'region', 'standing')
if old[1] and old[1] ~= region then remove(old[1], id) end
redis.call('DEL', key)
redis.call('HSET', key, 'standing', ARGV[6], unpack(ARGV, 7))
redis.call('ZADD', 'seen:' .. region, string.format('%d', now), id)
if string.sub(ARGV[6], 1, 5) == 'edge ' then
  redis.call('ZADD', 'edges:' .. region, load, id)
else
  redis.call('ZREM', 'edges:' .. region, id)
end
if old[2] ~= ARGV[6] then bump(floor) end
drop_stale(region, now - expiry, floor)
return version_at_least(floor)
"""
)

LEAVE = (
    _COMMON
    + """
-- ARGV: id, known version
local region = redis.call('HGET', 'node:' .. ARGV[1], 'region')
if region then
  remove(region, ARGV[1])
  bump(tonumber(ARGV[2]))
end
return version_at_least(tonumber(ARGV[2]))
"""
)

READ = (
    _COMMON
    + """
-- ARGV: region, expiry_ms, the version whose rows the caller has (-1: none), known version
local region, expiry, has, floor = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
drop_stale(region, now - expiry, floor)
local version = version_at_least(floor)
local seen = redis.call('ZRANGE', 'seen:' .. region, 0, -1, 'WITHSCORES')
local loads = redis.call('ZRANGE', 'edges:' .. region, 0, -1, 'WITHSCORES')
local rows = {}
if version ~= has then
  for i = 1, #seen, 2 do rows[#rows + 1] = redis.call('HGETALL', 'node:' .. seen[i]) end
end
return {string.format('%d', now), version, seen, loads, rows}
"""
)
