-- Limits of kind `rate`: src/limits/rate.ts. Products that no double holds exactly are made digit by digit.
local MAX_SAFE = 9007199254740991

-- Quotient and remainder of a * b / m, exact for integers below 2^52; a quotient beyond 2^53 is rounded.
local function multiply_divide(a, b, m)
  local quotient, rest = 0, 0
  local whole, part = floor(a / m), math.fmod(a, m)
  local bit = 2 ^ 52
  while bit >= 1 do
    quotient, rest = quotient * 2, rest * 2
    if rest >= m then quotient, rest = quotient + 1, rest - m end
    if b >= bit then
      b = b - bit
      quotient, rest = quotient + whole, rest + part
      if rest >= m then quotient, rest = quotient + 1, rest - m end
    end
    bit = bit / 2
  end
  return quotient, rest
end

-- What is in the bucket of a counter when it has flowed off at a speed until now: whole units and units / period.
local function flow_off(counter, speed, now)
  local whole, part = counter.used, counter.held
  local elapsed = now - counter.mark
  if elapsed <= 0 or (whole == 0 and part == 0) then return whole, part end
  local period = counter.span
  if whole * period + part <= MAX_SAFE and speed * elapsed <= MAX_SAFE then
    local left = whole * period + part - speed * elapsed
    if left <= 0 then return 0, 0 end
    return floor(left / period), math.fmod(left, period)
  end
  local gone, rest = multiply_divide(speed, elapsed, period)
  whole, part = whole - gone, part - rest
  if part < 0 then whole, part = whole - 1, part + period end
  if whole < 0 then return 0, 0 end
  return whole, part
end

local function rounded_up(whole, part)
  return part > 0 and whole + 1 or whole
end

-- Milliseconds until no more than `target` units are in it; huge when nothing flows off.
local function time_to_fall(whole, part, target, period, speed)
  if whole < target or (whole == target and part == 0) then return 0 end
  if speed == 0 then return huge end
  local excess = (whole - target) * period + part
  if excess <= MAX_SAFE then return ceil(excess / speed) end
  local quotient, rest = multiply_divide(whole - target, period, speed)
  return quotient + ceil((rest + part) / speed)
end
