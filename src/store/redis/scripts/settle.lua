-- Replaces what a decision holds by what was used: ARGV[1][3] 1: at least the floor, ARGV[1][4]: the amount of each unit.
-- Answers [state, then for each charge its place, what was reserved, what is charged, overdraft].
local function settle()
  local decision, reason = open_decision()
  if not decision then return { reason } end
  local at_least_floor, used, settled, holds = ask[3] == 1, ask[4], {}, decision[2]
  for one = #holds, 1, -1 do
    local hold = holds[one]
    local amount = used[hold[UNIT] + 1]
    if at_least_floor then amount = max(amount, hold[FLOOR]) end
    local counter = counter_of(hold)
    local overdraft = settle_hold(counter, hold, amount, now)
    if overdraft and counter.kind ~= LEASES then settled[one] = { hold[PLACE], hold[AMOUNT], amount, overdraft } end
  end
  local answer = { DONE }
  for one = 1, #holds do
    for _, number in ipairs(settled[one] or {}) do answer[#answer + 1] = number end
  end
  write_decision(1, { SETTLED, {}, keys = '[]' }, now)
  return answer
end

local answer = settle()
write_state()
return answer
