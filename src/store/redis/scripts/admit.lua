-- Admissions of one turn: each takes all of its charges or none, at one instant, in their order.
-- KEYS: the clock, a decision for each admission, counters, sets of holds.
-- ARGV[1]: [number of counters, admissions]; an admission is [instant or 0, id, 1: looks only, charges].
-- Further ARGV: for each admission its keys, as the client wants them back.
-- Answers for each admission a text that says what is wrong, or [admitted, six numbers for each charge].
local ask = cjson.decode(ARGV[1])
local requests = ask[2]
read_state(#requests, ask[1])

local function take(at, request, found, now)
  local holds, charged, ended, place = {}, {}, now, 1
  for number, one in ipairs(request[R_CHARGES]) do
    local met = found[number]
    if met.passes then
      local ends
      met.counter, met.own, ends = take_one(one, met.counter, met.own, place, request[R_ID], now, holds, charge)
      ended = max(ended, ends)
      if one[C_LIFE] >= 0 then
        charged[#charged + 1] = met.counter
        charged[#charged + 1] = met.own
      end
    end
    place = place + (one[C_OWN] > 0 and 2 or 1)
  end
  keep_decision(at, ARGV[1 + at], holds, ended, charged)
end

local function admit(at, request)
  local now = arrive(request[R_NOW])
  local found, admitted = {}, true
  for number, one in ipairs(request[R_CHARGES]) do
    local fits, counter, own = look(one, now)
    if not fits then return 'the key of charge ' .. number .. ' counts something else' end
    local wanted = one[C_AMOUNT] == 0 and 1 or one[C_AMOUNT]
    local met = { counter = counter, own = own, wanted = wanted, passes = passes(counter, own, one, wanted, now) }
    if not met.passes and one[C_SHADOW] == 0 then admitted = false end
    found[number] = met
  end
  local repeated = is_known(at)
  if admitted and not repeated and request[R_DRY] == 0 and #found > 0 then take(at, request, found, now) end
  local answer = { (admitted or repeated) and 1 or 0 }
  for number, one in ipairs(request[R_CHARGES]) do
    local met = found[number]
    describe(answer, met.counter, met.own, one, met.wanted, not met.passes and not repeated, now)
  end
  return answer
end

local answers = {}
for at, request in ipairs(requests) do answers[at] = admit(at, request) end
write_state()
return answers
