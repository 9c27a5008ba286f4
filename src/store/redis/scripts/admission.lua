-- What admissions and merges have in common: the charges of a request, and what is kept of its decision.

-- A request as it comes in; its keys, for the client, come beside it.
local R_NOW, R_ID, R_DRY, R_CHARGES = 1, 2, 3, 4

-- The counter that a charge meets, advanced to now, and that of the tenant's own leases.
-- @returns false: the key counts something else
local function look(one, now)
  local counter = counter_at(one[C_AT], holds_key_of(one[C_HOLDS]))
  if counter then
    advance(counter, now)
    if counter.kind ~= one[C_KIND] or counter.span ~= one[C_SPAN] then
      -- a rate in which nothing is left may flow off in another time
      if counter.kind ~= RATE or one[C_KIND] ~= RATE or counter.keep > now or level_of(counter, now) > 0 then return false end
      state.counters[one[C_AT]] = nil
      counter = nil
    end
  end
  local own = one[C_OWN] > 0 and counter_at(one[C_OWN], holds_key_of(one[C_OWN_HOLDS])) or nil
  if own then advance(own, now) end
  return true, counter, own
end

local terms = {}

-- Charges the counters of one charge. @param charging `charge`, or what merges do instead
-- @returns both counters and when what they hold ends
local function take_one(one, counter, own, place, id, now, holds, charging)
  local own_at, ends, own_ends = one[C_OWN], nil, now
  counter = counter or open_counter(one[C_AT], holds_key_of(one[C_HOLDS]), id, one[C_KIND], one[C_SPAN])
  terms.amount, terms.cap, terms.speed, terms.floor = one[C_AMOUNT], one[C_CAP], one[C_SPEED], one[C_FLOOR]
  terms.unit, terms.mode, terms.life, terms.holds = one[C_UNIT], one[C_MODE], one[C_LIFE], one[C_LIFE] >= 0
  ends = charging(counter, place, terms, now, holds)
  if own_at > 0 then
    own = own or open_counter(own_at, holds_key_of(one[C_OWN_HOLDS]), id, one[C_KIND], one[C_SPAN])
    terms.cap = one[C_GUARANTEED]
    own_ends = charging(own, place + 1, terms, now, holds)
  end
  return counter, own, max(ends, own_ends)
end
