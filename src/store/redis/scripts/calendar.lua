-- Periods of the calendar in UTC: src/limits/calendar.ts, line for line. All numbers are integers below 2^53.
local floor, ceil, max, min, huge = math.floor, math.ceil, math.max, math.min, math.huge

local DAY_MS = 86400000

local function end_of(now, length, anchor)
  return anchor + (floor((now - anchor) / length) + 1) * length
end

-- Days of an era of 400 years before one of its years, and of a year, which begins in March, before a month.
local function days_before(year)
  return year * 365 + floor(year / 4) - floor(year / 100) + floor(year / 400)
end
local function month_start(month)
  return floor((153 * month + 2) / 5)
end

local function month_end(now)
  local days = floor(now / DAY_MS) + 719468
  local era = floor(days / 146097)
  local day = days - era * 146097
  local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
  local month = floor((5 * (day - days_before(year)) + 2) / 153)
  local first = month == 11 and days_before(year + 1) or days_before(year) + month_start(month + 1)
  return (era * 146097 + first - 719468) * DAY_MS
end

-- End of the period that an instant is in. Spans: -1 hour, -2 day, -3 week (the epoch was a Thursday), -4 month.
local function period_end(span, now)
  if span == -1 then return end_of(now, 3600000, 0) end
  if span == -2 then return end_of(now, DAY_MS, 0) end
  if span == -3 then return end_of(now, 7 * DAY_MS, -3 * DAY_MS) end
  return month_end(now)
end
