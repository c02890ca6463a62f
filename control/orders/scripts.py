"""The Lua that Redis runs for the log of orders, each script atomic. ARGV[1] is one JSON document.

Keys: `orders:epoch`; `orders:number` the last number; `orders:feed:<role>` the stream that nodes of a role follow, an
order an entry; `orders:tail:<role>` the id of the newest entry that is kept no more; `orders:index` numbers by time;
`order:<n>` an order; `order:<n>:fates` node -> fate, while it waits empty, or `-` where the node was away at the issue;
`orders:open` what is in flight, by time; `orders:staged` what edges were not told yet; `orders:keys` key -> number;
`orders:draining`, `orders:revoked` and `orders:standing`, their version; `orders:followers:<role>` nodes by when they
asked last. Redis's own time is used nowhere but in stream ids. Whoever writes names the epoch that he knows: into a
Redis that came back empty nothing is written before it was given back what it lost.
"""

_COMMON = """
local args = cjson.decode(ARGV[1])
local function add(role, number, id)
  local feed, order = 'orders:feed:' .. role, 'order:' .. number
  local row = redis.call('HMGET', order, 'body', 'targets', 'by', 'key')
  if not row[1] then return end
  redis.call('XADD', feed, id, 'number', number, 'body', row[1], 'targets', row[2], 'by', row[3], 'key', row[4])
  if redis.call('XLEN', feed) > args.kept then
    local oldest = redis.call('XRANGE', feed, '-', '+', 'COUNT', 1)[1][1]
    redis.call('XDEL', feed, oldest)
    redis.call('SET', 'orders:tail:' .. role, oldest)
  end
end
local function tell(number)
  if redis.call('SREM', 'orders:staged', number) == 0 then return end
  for role in string.gmatch(redis.call('HGET', 'order:' .. number, 'later'), '%a+') do add(role, number, '*') end
  redis.call('HSET', 'order:' .. number, 'stage', 'edges')
end
local function trim()  -- what is staged is told before it is forgotten
  for _ = 1, redis.call('ZCARD', 'orders:index') - args.kept do
    local number = redis.call('ZPOPMIN', 'orders:index')[1]
    tell(number)
    local key = redis.call('HGET', 'order:' .. number, 'key')
    if key and key ~= '' then redis.call('HDEL', 'orders:keys', key) end
    redis.call('DEL', 'order:' .. number, 'order:' .. number .. ':fates')
    redis.call('ZREM', 'orders:open', number)
  end
end
local function keep(number, order)
  redis.call('HSET', 'order:' .. number, 'body', order.body, 'targets', order.targets, 'by', order.by, 'key', order.key,
    'later', order.later, 'stage', order.later == '' and 'edges' or 'shields')
  redis.call('ZADD', 'orders:index', number, number)
  if order.key ~= '' then redis.call('HSET', 'orders:keys', order.key, number) end
end
local function stand(standing)
  local changed = 0
  for _, id in ipairs(standing.drain) do changed = changed + redis.call('SADD', 'orders:draining', id) end
  for _, id in ipairs(standing.undrain) do changed = changed + redis.call('SREM', 'orders:draining', id) end
  for name, until_ in pairs(standing.revoke) do
    local before = tonumber(redis.call('HGET', 'orders:revoked', name) or '0')
    if tonumber(until_) > before then
      redis.call('HSET', 'orders:revoked', name, until_)
      changed = changed + 1
    end
  end
  if changed > 0 then redis.call('INCR', 'orders:standing') end
end
local function last_of(role)
  local newest = redis.call('XREVRANGE', 'orders:feed:' .. role, '+', '-', 'COUNT', 1)[1]
  return newest and newest[1] or redis.call('GET', 'orders:tail:' .. role) or '0-0'
end
"""

ISSUE = (
    _COMMON
    + """
-- key, body (without number), targets, by, later, told, expected {role: ids}, everybody, standing, issued, since, kept,
-- in_flight, most_revoked, most_draining, epoch. Answers {what, number, body, targets}.
if redis.call('GET', 'orders:epoch') ~= args.epoch then return {'epoch', 0, '', ''} end
if args.key ~= '' then
  local number = redis.call('HGET', 'orders:keys', args.key)
  if number then
    local row = redis.call('HMGET', 'order:' .. number, 'body', 'targets')
    return {'known', number, row[1], row[2]}
  end
end
redis.call('ZREMRANGEBYSCORE', 'orders:open', '-inf', args.since)
if redis.call('ZCARD', 'orders:open') >= args.in_flight then return {'in_flight', args.in_flight, '', ''} end
if next(args.standing.drain) and redis.call('SCARD', 'orders:draining') >= args.most_draining then
  return {'draining', args.most_draining, '', ''}
end
if next(args.standing.revoke) and redis.call('HLEN', 'orders:revoked') >= args.most_revoked then
  local all = redis.call('HGETALL', 'orders:revoked')
  local function of_node(name) return string.sub(name, 1, 5) == 'node:' end
  local stand, ours = 0, of_node(next(args.standing.revoke))
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) <= args.issued then
      redis.call('HDEL', 'orders:revoked', all[i])
    elseif of_node(all[i]) == ours then
      stand = stand + 1
    end
  end
  if stand >= args.most_revoked then return {'revoked', args.most_revoked, '', ''} end
end
local number = redis.call('INCR', 'orders:number')
keep(number, args)
local fates = 'order:' .. number .. ':fates'
for _, ids in pairs(args.expected) do
  for _, id in ipairs(ids) do redis.call('HSETNX', fates, id, '') end
end
local waiting = redis.call('HLEN', fates)
if args.everybody then
  for role in pairs(args.expected) do
    for _, id in ipairs(redis.call('ZRANGE', 'orders:followers:' .. role, 0, -1)) do
      redis.call('HSETNX', fates, id, '-')
    end
  end
end
redis.call('HSET', 'order:' .. number, 'waiting', waiting)
if waiting > 0 then redis.call('ZADD', 'orders:open', args.issued, number) end
for _, role in ipairs(args.told) do add(role, number, '*') end
if args.later ~= '' then
  redis.call('SADD', 'orders:staged', number)
  redis.call('HSET', 'order:' .. number, 'shields', cjson.encode(args.expected[args.told[1]]))
end
stand(args.standing)
trim()
return {'issued', number, args.body, args.targets}
"""
)

TELL = (
    _COMMON
    + """
-- number, kept, epoch
if redis.call('GET', 'orders:epoch') ~= args.epoch then return 0 end
tell(args.number)
return 1
"""
)

ACK = """
-- ARGV: number, node, fate, epoch. The first fate of a node stands. Answers whether the log is the one that is meant.
if redis.call('GET', 'orders:epoch') ~= ARGV[4] then return 0 end
local order = 'order:' .. ARGV[1]
if redis.call('EXISTS', order) == 0 then return 1 end
local before = redis.call('HGET', order .. ':fates', ARGV[2])
if before and before ~= '' and before ~= '-' then return 1 end
redis.call('HSET', order .. ':fates', ARGV[2], ARGV[3])
if before == '' and redis.call('HINCRBY', order, 'waiting', -1) <= 0 then redis.call('ZREM', 'orders:open', ARGV[1]) end
return 1
"""

FOLLOWS = """
-- ARGV: role, node, now, forgotten before, most
local key = 'orders:followers:' .. ARGV[1]
redis.call('ZADD', key, ARGV[3], ARGV[2])
redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[4])
redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[5]))
return 1
"""

SYNC = (
    _COMMON
    + """
-- epoch (that of a log where there is none), places {role: id}, standing (the version known), count.
-- Answers {epoch, number, standing, draining, revoked, staged, tail, last, entries of shield, the same of edge, of
-- origin}.
redis.call('SET', 'orders:epoch', args.epoch, 'NX')
local epoch = redis.call('GET', 'orders:epoch')
local standing = tonumber(redis.call('GET', 'orders:standing') or '0')
local draining, revoked, staged = {}, {}, {}
if epoch ~= args.epoch or standing ~= args.standing then
  draining, revoked = redis.call('SMEMBERS', 'orders:draining'), redis.call('HGETALL', 'orders:revoked')
end
for _, number in ipairs(redis.call('SMEMBERS', 'orders:staged')) do
  local order, waiting = 'order:' .. number, {}
  local row = redis.call('HMGET', order, 'body', 'shields')
  for _, id in ipairs(cjson.decode(row[2] or '[]')) do
    if redis.call('HGET', order .. ':fates', id) == '' then waiting[#waiting + 1] = id end
  end
  staged[#staged + 1] = {number, row[1], waiting}
end
local answer = {epoch, redis.call('GET', 'orders:number') or '0', standing, draining, revoked, staged}
for _, role in ipairs({'shield', 'edge', 'origin'}) do
  local from = epoch == args.epoch and '(' .. args.places[role] or '-'
  answer[#answer + 1] = redis.call('GET', 'orders:tail:' .. role) or '0-0'
  answer[#answer + 1] = last_of(role)
  answer[#answer + 1] = redis.call('XRANGE', 'orders:feed:' .. role, from, '+', 'COUNT', args.count)
end
return answer
"""
)

RESTORE = (
    _COMMON
    + """
-- epoch, number, feeds {role: {tail, entries {id, number, body, targets, by, key}}}, staged {number: later}, standing,
-- kept.
-- What this control process knows and a Redis that lost it does not. Answers whether it was the same log.
redis.call('SET', 'orders:epoch', args.epoch, 'NX')
if redis.call('GET', 'orders:epoch') ~= args.epoch then return 0 end
if tonumber(redis.call('GET', 'orders:number') or '0') < args.number then
  redis.call('SET', 'orders:number', string.format('%d', args.number))
end
local function place(id)
  local ms, sequence = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(sequence)
end
local function above(one, other)
  local a, b = place(one)
  local c, d = place(other)
  return a > c or (a == c and b > d)
end
for number in pairs(args.staged) do
  if redis.call('EXISTS', 'order:' .. number) == 0 then redis.call('SADD', 'orders:staged', number) end
end
for role, feed in pairs(args.feeds) do
  local last = last_of(role)
  if last == '0-0' then redis.call('SET', 'orders:tail:' .. role, feed.tail) end
  for _, entry in ipairs(feed.entries) do
    local missing = redis.call('EXISTS', 'order:' .. entry.number) == 0
    if missing then
      entry.later = args.staged[entry.number] or ''
      keep(entry.number, entry)
    end
    if above(entry.id, last) then
      add(role, entry.number, entry.id)
    elseif missing then  -- another control process was quicker to add newer ones
      add(role, entry.number, '*')
    end
  end
end
stand(args.standing)
trim()
return 1
"""
)
