-- One charge, its settlement and its extension: src/limits/charging.ts.

-- What is stored of a hold: the place of its counter among the keys of its decision, and what a settlement needs.
local PLACE, GEN, UNIT, MODE, AMOUNT, FLOOR, ENDS, MARK, MEMBER = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- @param holds the list that a new hold is added to @returns when the hold ends; now, without one
local function charge(counter, place, terms, now, holds)
  local amount, kind, mark = terms.amount, counter.kind, now
  advance(counter, now)
  counter.cap, counter.changed = terms.cap, true
  if kind == WINDOW then
    record(counter, now, amount)
  elseif kind == RATE then
    local whole, part = flow_off(counter, terms.speed, now)
    counter.used, counter.held, counter.mark, counter.speed = whole + amount, part, now, terms.speed
    counter.entered = counter.entered + amount
    mark = counter.entered
  elseif kind ~= LEASES and not terms.holds then
    commit(counter, amount, now)
  end
  if not terms.holds then return now end
  local ends, member = now + terms.life, ''
  if kind ~= WINDOW and kind ~= RATE then member = add_hold(counter, ends, amount, terms.floor, terms.mode) end
  holds[#holds + 1] = { place, counter.gen, terms.unit, terms.mode, amount, terms.floor, ends, mark, member }
  return ends
end

-- Takes a hold out of the set of its counter, advanced to now. @returns false: it has ended, or was never in it
local function unlist(counter, hold, now)
  if hold[MEMBER] == '' or hold[ENDS] <= now then return false end
  write_holds(counter)
  redis.call('ZREM', counter.holds_key, hold[MEMBER])
  counter.held = counter.held - hold[AMOUNT]
  find_ends(counter, now)
  return true
end

local function adjust_segments(counter, difference, at, now)
  if difference < 0 then give_back(counter, at, -difference) else record(counter, now, difference) end
end

local function adjust_rate(counter, hold, used, now)
  local whole, part = flow_off(counter, counter.speed, now)
  local amount, entered, rest = hold[AMOUNT], counter.entered, whole + max(0, used - hold[AMOUNT])
  if used < amount then
    local left = min(amount, max(0, hold[MARK] - (entered - whole)))
    rest = rest - min(amount - used, left)
  else
    counter.entered = entered + used - amount
  end
  counter.used, counter.held, counter.mark = rest, part, now
end

local function adjust_quota(counter, hold, used, now)
  if unlist(counter, hold, now) then return commit(counter, used, now) end
  local ended = hold[ENDS]
  local difference = used - charged_at_expiry(hold[AMOUNT], hold[FLOOR], hold[MODE])
  if counter.kind == ROLLING then
    adjust_segments(counter, difference, ended, now)
  elseif difference > 0 then
    commit(counter, difference, now)
  elseif period_end(counter.span, ended) == counter.mark then
    counter.used = max(0, counter.used + difference)
  end
end

-- Replaces what a hold reserved by what was used. @returns overdraft; nil: its key has been reset
local function settle_hold(counter, hold, used, now)
  if counter == nil or counter.gen ~= hold[GEN] then return nil end
  advance(counter, now)
  counter.changed = true
  local before = level_of(counter, now)
  if counter.kind == LEASES then unlist(counter, hold, now)
  elseif counter.kind == WINDOW then adjust_segments(counter, used - hold[AMOUNT], hold[MARK], now)
  elseif counter.kind == RATE then adjust_rate(counter, hold, used, now)
  else adjust_quota(counter, hold, used, now) end
  return max(0, level_of(counter, now) - max(before, counter.cap))
end

-- Lets a live hold end at another instant. @returns false: it is not live any more
local function renew_hold(counter, hold, ends, now)
  if hold[ENDS] <= now or counter == nil or counter.gen ~= hold[GEN] then return false end
  advance(counter, now)
  counter.changed = true
  if unlist(counter, hold, now) then
    hold[MEMBER] = add_hold(counter, ends, hold[AMOUNT], hold[FLOOR], hold[MODE])
  end
  hold[ENDS] = ends
  return true
end
