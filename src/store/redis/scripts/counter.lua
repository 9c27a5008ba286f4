-- What one key has counted, as one value, and what is held there as a sorted set by the ends of holds. The same steps
-- as src/limits/charging.ts and src/limits/segments.ts, on tables in memory: what is not `changed` is not written.
local WINDOW, RATE, CALENDAR, ROLLING, LEASES = 1, 2, 3, 4, 5
local CHARGE_ESTIMATE, CHARGE_INPUT, RELEASE = 0, 1, 2
-- Segments of a span.
local PER_SPAN = 60
-- Numbers of a stored counter before its segments.
local HEAD = 14
-- Milliseconds that a key outlives what it counts: clocks may differ by as much.
local MARGIN_MS = 60000
-- Keys that would live longer have no end: 2^47 milliseconds.
local MAX_LIFE_MS = 140737488355328
-- Ends of holds that are read at once.
local PAGE = 64
-- Holds that are gone through in one script to find out when a denied request would pass, before that is cut short:
-- about a millisecond. Who asks again and again must not keep the others waiting.
local MAX_WALK = 1024
local walked = 0
-- Ended holds beyond which they are taken away for good by whoever comes across them, also when it is denied.
local MANY_ENDED = 128

local function text_of(number)
  return string.format('%.0f', number)
end

local function new_counter(key, holds_key, gen, kind, span)
  return {
    key = key, holds_key = holds_key, gen = gen, seq = 0, kind = kind, span = span, cap = 0, used = 0, held = 0,
    mark = 0, speed = 0, entered = 0, next_end = 0, last_end = 0, last_mode = 0, keep = 0,
    times = {}, sums = {}, first = 1, last = 0, added = {}, expired = 0,
  }
end

-- The counter in a stored value.
local function unpack_counter(key, holds_key, raw)
  local all = cmsgpack.unpack(raw)
  local counter = new_counter(key, holds_key, all[1], all[3], all[4])
  counter.seq, counter.cap, counter.used, counter.held = all[2], all[5], all[6], all[7]
  counter.mark, counter.speed, counter.entered = all[8], all[9], all[10]
  counter.next_end, counter.last_end, counter.last_mode, counter.keep = all[11], all[12], all[13], all[14]
  local times, sums, last = counter.times, counter.sums, 0
  for at = HEAD + 1, #all, 2 do
    last = last + 1
    times[last], sums[last] = all[at], all[at + 1]
  end
  counter.last = last
  return counter
end

local function pack_counter(counter)
  local all = {
    counter.gen, counter.seq, counter.kind, counter.span, counter.cap, counter.used, counter.held,
    counter.mark, counter.speed, counter.entered, counter.next_end, counter.last_end, counter.last_mode, counter.keep,
  }
  local times, sums, at = counter.times, counter.sums, HEAD
  for one = counter.first, counter.last do
    all[at + 1], all[at + 2] = times[one], sums[one]
    at = at + 2
  end
  return cmsgpack.pack(all)
end

-- Segments

local function width_of(span)
  return ceil(span / PER_SPAN)
end

local function record(counter, at, amount)
  if amount == 0 then return end
  counter.used = counter.used + amount
  local width, last, times, sums = width_of(counter.span), counter.last, counter.times, counter.sums
  if last >= counter.first and floor(times[last] / width) == floor(at / width) then
    times[last], sums[last] = at, sums[last] + amount
    return
  end
  last = last + 1
  times[last], sums[last], counter.last = at, amount, last
end

local function drop_old(counter, now)
  local from, times, sums, first, last = now - counter.span, counter.times, counter.sums, counter.first, counter.last
  while first <= last and times[first] <= from do
    counter.used = counter.used - sums[first]
    first = first + 1
  end
  counter.first = first
end

local function give_back(counter, at, amount)
  local width, times, sums = width_of(counter.span), counter.times, counter.sums
  local wanted = floor(at / width)
  for one = counter.first, counter.last do
    if floor(times[one] / width) == wanted then
      local back = min(amount, sums[one])
      sums[one] = sums[one] - back
      counter.used = counter.used - back
      return
    end
  end
end

local function time_of_room(counter, amount)
  local left, time = amount, 0
  for one = counter.first, counter.last do
    if left <= 0 then break end
    left, time = left - counter.sums[one], counter.times[one]
  end
  return time + counter.span
end

local function time_of_end(counter, now)
  if counter.used == 0 then return now end
  for one = counter.last, counter.first, -1 do
    if counter.sums[one] > 0 then return counter.times[one] + counter.span end
  end
  return now
end

-- Holds. A member is `<seq>:<amount>:<floor>:<mode>`, the sequence with leading zeros: equal ends keep their order.

local function parse_member(member)
  local amount, least, mode = string.match(member, '^%d+:(%d+):(%d+):(%d)$')
  return tonumber(amount), tonumber(least), tonumber(mode)
end

local function charged_at_expiry(amount, least, mode)
  if mode == CHARGE_ESTIMATE then return amount end
  return mode == CHARGE_INPUT and least or 0
end

-- Writes what is held since the counter was read: before its set is read again.
local function write_holds(counter)
  if counter.expired > 0 then
    redis.call('ZREMRANGEBYSCORE', counter.holds_key, '-inf', text_of(counter.expired))
    counter.expired = 0
  end
  if #counter.added > 0 then
    redis.call('ZADD', counter.holds_key, unpack(counter.added))
    counter.added = {}
  end
end

-- Live holds in the order of their ends, a page at a time.
local function each_hold(counter, now)
  local added, page, at, offset = counter.added, {}, 1, 0
  if #added > 0 then write_holds(counter) end
  return function()
    if page and at > #page then
      page = redis.call('ZRANGEBYSCORE', counter.holds_key, '(' .. text_of(now), '+inf', 'WITHSCORES', 'LIMIT', offset, PAGE)
      at, offset = 1, offset + PAGE
      if #page == 0 then page = nil end
    end
    if not page then return nil end
    walked = walked + 1
    local amount, least, mode = parse_member(page[at])
    local ends = tonumber(page[at + 1])
    at = at + 2
    return ends, amount, least, mode
  end
end

-- Looks up again when the first and the last hold end.
local function find_ends(counter, now)
  counter.next_end, counter.last_end, counter.last_mode = 0, 0, 0
  local next_hold = redis.call('ZRANGEBYSCORE', counter.holds_key, '(' .. text_of(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if #next_hold == 0 then return end
  local last_hold = redis.call('ZRANGE', counter.holds_key, -1, -1, 'WITHSCORES')
  local _, _, mode = parse_member(last_hold[1])
  counter.next_end, counter.last_end, counter.last_mode = tonumber(next_hold[2]), tonumber(last_hold[2]), mode
end

-- Puts a hold into the set of its counter. @returns its member
local function add_hold(counter, ends, amount, least, mode)
  counter.seq = counter.seq + 1
  local member = string.format('%015.0f:%.0f:%.0f:%d', counter.seq, amount, least, mode)
  local added = counter.added
  added[#added + 1], added[#added + 2] = text_of(ends), member
  counter.held = counter.held + amount
  if counter.next_end == 0 or ends < counter.next_end then counter.next_end = ends end
  if ends >= counter.last_end then counter.last_end, counter.last_mode = ends, mode end
  return member
end

-- What time does by itself

local function turn_period(counter, now)
  if now < counter.mark then return end
  counter.used, counter.mark = 0, period_end(counter.span, now)
end

local function commit(counter, amount, at)
  if counter.kind == ROLLING then return record(counter, at, amount) end
  turn_period(counter, at)
  counter.used = counter.used + amount
end

local function expire_holds(counter, now)
  if #counter.added > 0 then write_holds(counter) end
  local from = counter.expired > 0 and '(' .. text_of(counter.expired) or '-inf'
  local ended = redis.call('ZRANGEBYSCORE', counter.holds_key, from, text_of(now), 'WITHSCORES')
  for at = 1, #ended, 2 do
    local amount, least, mode = parse_member(ended[at])
    counter.held = counter.held - amount
    if counter.kind ~= LEASES then commit(counter, charged_at_expiry(amount, least, mode), tonumber(ended[at + 1])) end
  end
  counter.expired = now
  if #ended > 2 * MANY_ENDED then counter.changed = true end
  find_ends(counter, now)
end

local function advance(counter, now)
  if counter.next_end > 0 and counter.next_end <= now then expire_holds(counter, now) end
  if counter.kind == WINDOW or counter.kind == ROLLING then drop_old(counter, now)
  elseif counter.kind == CALENDAR then turn_period(counter, now) end
end

-- Committed and held; of a rate what has not flowed off.
local function level_of(counter, now)
  if counter.kind ~= RATE then return counter.used + counter.held end
  return rounded_up(flow_off(counter, counter.speed, now))
end

-- When nothing that is counted counts any more.
local function end_of_counter(counter, now)
  local kind, last = counter.kind, counter.last_end
  if kind == WINDOW then return time_of_end(counter, now) end
  if kind == LEASES then return max(last, now) end
  if kind == ROLLING then return max(time_of_end(counter, now), last > 0 and last + counter.span or now) end
  if kind == CALENDAR then return max(counter.mark, last > 0 and period_end(counter.span, last) or now) end
  local whole, part = flow_off(counter, counter.speed, now)
  return now + min(time_to_fall(whole, part, 0, counter.span, counter.speed), MAX_SAFE)
end

-- Writes a changed counter. Keys live as long as what they count, and as holds of theirs can be settled.
local function write_counter(counter, now, expires)
  write_holds(counter)
  local life = max(end_of_counter(counter, now), counter.keep) - now + MARGIN_MS
  if expires and life < MAX_LIFE_MS then
    redis.call('SET', counter.key, pack_counter(counter), 'PX', text_of(life))
    if counter.holds_key and counter.next_end > 0 then redis.call('PEXPIRE', counter.holds_key, text_of(life)) end
  else
    redis.call('SET', counter.key, pack_counter(counter))
    if counter.holds_key then redis.call('PERSIST', counter.holds_key) end
  end
end
