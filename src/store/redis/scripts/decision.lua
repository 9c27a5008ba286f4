-- What settlements and extensions have in common: one decision with its counters.
-- KEYS: the clock, the decision, its counters, a set of holds for each counter, in the order of its keys.
-- ARGV[1]: [instant or 0, number of counters, more]; ARGV[2]: the keys of the decision as the client read them.
local UNKNOWN, DONE, TOO_LATE, CHANGED = 0, 1, 2, 3

local ask = cjson.decode(ARGV[1])
local count = ask[2]
read_state(1, count)
local now = arrive(ask[1])

-- The decision, or nil and why it is none that this script can change.
local function open_decision()
  if not is_known(1) then return nil, UNKNOWN end
  local decision = read_decision(1)
  if decision[1] == SETTLED then return nil, TOO_LATE end
  -- it was forgotten, and another has its id, since the client looked
  if decision.keys ~= ARGV[2] then return nil, CHANGED end
  return decision
end

local function counter_of(hold)
  return counter_at(hold[PLACE], holds_key_of(hold[PLACE]))
end
