-- Takes what a server admitted alone, at the instants when it did, whatever it exceeds. What has left its window or
-- period meanwhile counts nothing; a decision that is known changes nothing.
-- KEYS and ARGV as of admissions, with the instant of the merge, or 0, as third member of ARGV[1].
local ask = cjson.decode(ARGV[1])
local requests = ask[2]
read_state(#requests, ask[1])
local present = arrive(ask[3])

-- Adds a charge of the past among the segments.
local function insert(counter, at, amount, now)
  if amount == 0 or at <= now - counter.span then return end
  local width, times, sums, place = width_of(counter.span), counter.times, counter.sums, counter.last
  local wanted = floor(at / width)
  while place >= counter.first and floor(times[place] / width) > wanted do place = place - 1 end
  if place >= counter.first and floor(times[place] / width) == wanted then
    times[place], sums[place] = max(times[place], at), sums[place] + amount
  else
    table.insert(times, place + 1, at)
    table.insert(sums, place + 1, amount)
    counter.last = counter.last + 1
  end
  counter.used = counter.used + amount
end

local function commit_past(counter, amount, at, now)
  if counter.kind == ROLLING then insert(counter, at, amount, now)
  elseif period_end(counter.span, at) == counter.mark then counter.used = counter.used + amount end
end

-- Makes the function that charges at an instant of the past.
local function charging_at(at)
  return function(counter, place, terms, now, holds)
    local amount, kind, mark, member = terms.amount, counter.kind, at, ''
    advance(counter, now)
    counter.cap, counter.changed = terms.cap, true
    if kind == WINDOW then
      insert(counter, at, amount, now)
    elseif kind == RATE then
      local time = max(at, counter.mark)
      local whole, part = flow_off(counter, terms.speed, time)
      counter.used, counter.held, counter.mark, counter.speed = whole + amount, part, time, terms.speed
      counter.entered = counter.entered + amount
      mark = counter.entered
    elseif kind ~= LEASES and not terms.holds then
      commit_past(counter, amount, at, now)
    end
    if not terms.holds then return now end
    local ends = at + terms.life
    if kind ~= WINDOW and kind ~= RATE then
      if ends > now then member = add_hold(counter, ends, amount, terms.floor, terms.mode)
      elseif kind ~= LEASES then commit_past(counter, charged_at_expiry(amount, terms.floor, terms.mode), ends, now) end
    end
    holds[#holds + 1] = { place, counter.gen, terms.unit, terms.mode, amount, terms.floor, ends, mark, member }
    return ends
  end
end

local function merge(at, request)
  if is_known(at) then return end
  local holds, charged, ended, place = {}, {}, present, 1
  local charging = charging_at(min(request[R_NOW], present))
  for _, one in ipairs(request[R_CHARGES]) do
    local fits, counter, own = look(one, present)
    if fits then
      local ends
      counter, own, ends = take_one(one, counter, own, place, request[R_ID], present, holds, charging)
      ended = max(ended, ends)
      if one[C_LIFE] >= 0 then
        charged[#charged + 1] = counter
        charged[#charged + 1] = own
      end
    end
    place = place + (one[C_OWN] > 0 and 2 or 1)
  end
  keep_decision(at, ARGV[1 + at], holds, ended, charged)
end

for at, request in ipairs(requests) do merge(at, request) end
write_state()
return #requests
