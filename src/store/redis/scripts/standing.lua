-- Whether a limit lets a request in, where it stands, and when it would: src/limits/standing.ts and retry.ts.

-- A charge as it comes in.
local C_AT, C_HOLDS, C_KIND, C_SPAN, C_CAP, C_SPEED, C_AMOUNT, C_FLOOR, C_UNIT, C_MODE, C_LIFE, C_SHADOW, C_OWN, C_OWN_HOLDS, C_GUARANTEED, C_HIGH_WATER =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16

local function leases_fit(one, pool, own, wanted)
  if pool + wanted > one[C_CAP] then return false end
  return one[C_OWN] == 0 or own + wanted <= one[C_GUARANTEED] or pool + wanted <= one[C_HIGH_WATER]
end

local function level_at(counter, speed, now)
  if counter == nil then return 0 end
  return rounded_up(flow_off(counter, speed, now))
end

-- @param counter advanced to now; nil: nothing is counted
local function passes(counter, own, one, wanted, now)
  if one[C_KIND] == RATE then
    return one[C_SPEED] > 0 and wanted <= one[C_CAP] and level_at(counter, one[C_SPEED], now) + wanted <= one[C_CAP]
  end
  local total = counter and counter.used + counter.held or 0
  if one[C_KIND] ~= LEASES then return total + wanted <= one[C_CAP] end
  return leases_fit(one, total, own and own.held or 0, wanted)
end

local function lease_retry(counter, own, one, wanted, now)
  local pool, own_leases = counter.held, own and own.held or 0
  local next_lease, next_own = each_hold(counter, now), own and each_hold(own, now)
  local ends, amount = next_lease()
  local own_ends, own_amount
  if own then own_ends, own_amount = next_own() end
  while ends do
    local time = ends
    while ends and ends <= time do
      pool = pool - amount
      ends, amount = next_lease()
    end
    while own_ends and own_ends <= time do
      own_leases = own_leases - own_amount
      own_ends, own_amount = next_own()
    end
    if leases_fit(one, pool, own_leases, wanted) then return time - now end
    if walked > MAX_WALK and leases_fit(one, 0, 0, wanted) then return counter.last_end - now end
  end
  return -1
end

local function calendar_retry(counter, target, now)
  local period, used, held = counter.mark, counter.used, counter.held
  local next_hold = each_hold(counter, now)
  local ends, amount, least, mode = next_hold()
  while true do
    local time = ends and min(period, ends) or period
    if time >= period then used, period = 0, period_end(counter.span, time) end
    while ends and ends <= time do
      held, used = held - amount, used + charged_at_expiry(amount, least, mode)
      ends, amount, least, mode = next_hold()
    end
    if used + held <= target then return time - now end
    if walked > MAX_WALK then return period_end(counter.span, counter.last_end) - now end
    if not ends and used == 0 then return -1 end
  end
end

local function rolling_retry(counter, target, now)
  local span, width, total = counter.span, width_of(counter.span), counter.used + counter.held
  local times, sums, last = {}, {}, 0
  for one = counter.first, counter.last do
    last = last + 1
    times[last], sums[last] = counter.times[one], counter.sums[one]
  end
  local next_hold, first = each_hold(counter, now), 1
  local ends, amount, least, mode = next_hold()
  while true do
    local time = min(times[first] and times[first] + span or huge, ends or huge)
    if time == huge then return -1 end
    while ends and ends <= time do
      local charged = charged_at_expiry(amount, least, mode)
      total = total + charged - amount
      if charged > 0 then
        -- of those that left already none is left to add to, as in the reference
        if last > 0 and floor(times[last] / width) == floor(time / width) then
          times[last], sums[last] = time, sums[last] + charged
        else
          last = last + 1
          times[last], sums[last] = time, charged
        end
      end
      ends, amount, least, mode = next_hold()
    end
    while first <= last and times[first] + span <= time do
      total = total - sums[first]
      first = first + 1
    end
    if total <= target then return time - now end
    if walked > MAX_WALK then return counter.last_end + span - now end
  end
end

-- Milliseconds until the request passes this limit alone; -1: never. Where very many holds have to end before, a time at
-- which it passes for certain.
local function retry_after(counter, own, one, wanted, now)
  local most, kind = one[C_CAP], one[C_KIND]
  if wanted > most or most == 0 or (kind == RATE and one[C_SPEED] == 0) or counter == nil then return -1 end
  if kind == WINDOW then return time_of_room(counter, counter.used + wanted - most) - now end
  if kind == RATE then
    local whole, part = flow_off(counter, one[C_SPEED], now)
    return min(time_to_fall(whole, part, most - wanted, one[C_SPAN], one[C_SPEED]), MAX_SAFE)
  end
  if kind == LEASES then return lease_retry(counter, own, one, wanted, now) end
  if kind == CALENDAR then return calendar_retry(counter, most - wanted, now) end
  return rolling_retry(counter, most - wanted, now)
end

local function quota_end(counter, now)
  local committed = counter.span < 0 and counter.mark or time_of_end(counter, now)
  local ends, last = counter.used > 0 and committed or now, counter.last_end
  if last == 0 then return ends end
  if counter.last_mode == RELEASE then return max(ends, last) end
  return max(ends, counter.span < 0 and period_end(counter.span, last) or last + counter.span)
end

local function reset_of(counter, one, now)
  local kind = one[C_KIND]
  if kind == WINDOW then return time_of_end(counter, now) - now end
  if kind == LEASES then return counter.last_end - now end
  if kind ~= RATE then return quota_end(counter, now) - now end
  local whole, part = flow_off(counter, one[C_SPEED], now)
  return min(time_to_fall(whole, part, 0, one[C_SPAN], one[C_SPEED]), MAX_SAFE)
end

-- Large numbers are answered as text: clients read integers of the protocol digit by digit, which rounds.
local function exact(number)
  return number < 4503599627370496 and number or text_of(number)
end

-- Adds six numbers to an answer: violated, used, held, remaining, reset, retry.
local function describe(answer, counter, own, one, wanted, violated, now)
  local is_rate = one[C_KIND] == RATE
  local used = is_rate and level_at(counter, one[C_SPEED], now) or counter and counter.used + counter.held or 0
  local most = is_rate and one[C_SPEED] == 0 and 0 or one[C_CAP]
  local at = #answer
  answer[at + 1] = violated and 1 or 0
  answer[at + 2] = exact(used)
  answer[at + 3] = exact(not is_rate and counter and counter.held or 0)
  answer[at + 4] = exact(max(0, most - used))
  answer[at + 5] = exact(counter and used > 0 and reset_of(counter, one, now) or 0)
  answer[at + 6] = exact(violated and retry_after(counter, own, one, wanted, now) or -1)
end
