-- What a script works on: the clock, decisions and counters of its keys, read once and written once. Nothing that a
-- script was not told as a key is touched.
local OPEN, SETTLED = 1, 2
-- How long a decision of which nothing is live is known: KEEP_MS of src/limits/settling.ts.
local KEEP_MS = 3600000
local state = { now = 0, seen = 0, counters = {}, records = {}, written = {}, expires = true }

-- Time never goes back behind an instant that any script has seen. @param given by a test; 0: the server's time
local function arrive(given)
  local now = given
  if given == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000 + floor(time[2] / 1000)
  else
    -- the server's clock knows nothing of this time: nothing may end by it
    state.expires = false
  end
  if now > state.now then state.now = now end
  return state.now
end

-- Keys are the clock, `records` decisions, `count` counters, and sets of holds. All but the last are read at once.
local function read_state(records, count)
  local raw = redis.call('MGET', unpack(KEYS, 1, 1 + records + count))
  state.seen = tonumber(raw[1] or '0')
  state.now = state.seen
  for at = 1, records do state.records[at] = raw[1 + at] or nil end
  for at = 1, count do state.counters[at] = raw[1 + records + at] or nil end
  state.first_record, state.first_counter, state.first_holds = 2, 2 + records, 2 + records + count
end

local function holds_key_of(place)
  if place == 0 then return nil end
  return KEYS[state.first_holds + place - 1]
end

-- The counter at a place, read when it is asked for the first time. nil: nothing is counted.
local function counter_at(at, holds_key)
  local counter = state.counters[at]
  if type(counter) == 'string' then
    counter = unpack_counter(KEYS[state.first_counter + at - 1], holds_key, counter)
    state.counters[at] = counter
  end
  return counter
end

local function open_counter(at, holds_key, gen, kind, span)
  local counter = new_counter(KEYS[state.first_counter + at - 1], holds_key, gen, kind, span)
  state.counters[at] = counter
  return counter
end

-- A decision is stored as `<forgotten at>\n<its keys, for the client>\n<the rest, packed>`.

local function is_known(at)
  local raw = state.records[at]
  return raw ~= nil and tonumber(string.match(raw, '^%d+')) > state.now
end

local function read_decision(at)
  local keys, packed = string.match(state.records[at], '^%d+\n([^\n]*)\n(.*)$')
  local decision = cmsgpack.unpack(packed)
  decision.keys = keys
  return decision
end

-- @param ended when the last of what it holds ends, or now
local function write_decision(at, decision, ended)
  local forgotten = ended + KEEP_MS
  local keys = decision.keys
  decision.keys = nil
  state.records[at] = text_of(forgotten) .. '\n' .. keys .. '\n' .. cmsgpack.pack(decision)
  state.written[at] = forgotten
  return forgotten
end

-- Keeps a decision, and the counters with holds as long as it can be settled.
local function keep_decision(at, keys, holds, ended, charged)
  local forgotten = write_decision(at, { OPEN, holds, keys = keys }, ended)
  for _, counter in ipairs(charged) do counter.keep = max(counter.keep, forgotten) end
end

-- Writes what changed: the point of no return of every script.
local function write_state()
  if state.now > state.seen then redis.call('SET', KEYS[1], text_of(state.now)) end
  for _, counter in pairs(state.counters) do
    if type(counter) == 'table' and counter.changed then write_counter(counter, state.now, state.expires) end
  end
  for at, forgotten in pairs(state.written) do
    local key, raw = KEYS[state.first_record + at - 1], state.records[at]
    if state.expires then redis.call('SET', key, raw, 'PX', text_of(forgotten - state.now + MARGIN_MS))
    else redis.call('SET', key, raw) end
  end
end
