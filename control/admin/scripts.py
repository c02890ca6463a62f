"""The Lua that Redis runs for the admin API, each script atomic; time is Redis's own."""

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

PUT_TOKEN = """
-- ARGV: id, JSON, how many there may be. 0 when there is no room
if redis.call('HLEN', 'admin:tokens') >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', 'admin:tokens', ARGV[1], ARGV[2])
return 1
"""

TAKE = (
    _NOW
    + """
-- ARGV: key, limit, window in ms, a name for this call. {allowed, counted, ms until the oldest leaves}
local key, limit, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
local count = redis.call('ZCARD', key)
local allowed = 0
if count < limit then
  redis.call('ZADD', key, string.format('%d', now), string.format('%d', now) .. ARGV[4])
  redis.call('PEXPIRE', key, window)
  count = count + 1
  allowed = 1
end
local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
return {allowed, count, oldest + window - now}
"""
)

CLAIM = (
    _NOW
    + """
-- ARGV: caller, key, owner, lock in ms, keys at most, ms that an answer is kept
-- What stands there, or nothing when it is ours now
local index, name = 'idempotency:' .. ARGV[1], 'idempotency:' .. ARGV[1] .. ':' .. ARGV[2]
local found = redis.call('GET', name)
if found then return found end
redis.call('SET', name, 'running\\n' .. ARGV[3], 'PX', ARGV[4])
local life = ARGV[4] + ARGV[6]
redis.call('ZREMRANGEBYSCORE', index, '-inf', now - life)
redis.call('ZADD', index, string.format('%d', now), ARGV[2])
redis.call('PEXPIRE', index, string.format('%d', life))
if redis.call('ZCARD', index) > tonumber(ARGV[5]) then
  local first = redis.call('ZPOPMIN', index)[1]
  redis.call('DEL', 'idempotency:' .. ARGV[1] .. ':' .. first)
end
return nil
"""
)

SETTLE = """
-- ARGV: caller, key, owner, what to keep ('' gives the key back), for how many ms
local index, name = 'idempotency:' .. ARGV[1], 'idempotency:' .. ARGV[1] .. ':' .. ARGV[2]
if redis.call('GET', name) ~= 'running\\n' .. ARGV[3] then return end
if ARGV[4] == '' then
  redis.call('DEL', name)
  redis.call('ZREM', index, ARGV[2])
  return
end
redis.call('SET', name, ARGV[4], 'PX', ARGV[5])
"""

APPEND = """
-- ARGV: the head as it was seen ('' for none), seq, hash, JSON, entries kept. Nothing when done, else the head
local head = redis.call('GET', 'admin:audit:head')
if (head or '') ~= ARGV[1] then return head or '0 ' .. string.rep('0', 64) end
redis.call('XADD', 'admin:audit', 'MAXLEN', '~', ARGV[5], ARGV[2] .. '-0', 'e', ARGV[4])
redis.call('SET', 'admin:audit:head', ARGV[2] .. ' ' .. ARGV[3])
return nil
"""
