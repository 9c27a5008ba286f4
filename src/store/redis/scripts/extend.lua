-- Lets what a decision holds last ARGV[1][3] milliseconds from now. Answers [state, until when].
local function extend()
  local decision, reason = open_decision()
  if not decision then return { reason, now } end
  local ends, renewed, charged = now + ask[3], false, {}
  for _, hold in ipairs(decision[2]) do
    local counter = counter_of(hold)
    if renew_hold(counter, hold, ends, now) then
      renewed = true
      charged[#charged + 1] = counter
    end
  end
  if not renewed then return { UNKNOWN, now } end
  keep_decision(1, decision.keys, decision[2], ends, charged)
  return { DONE, ends }
end

local answer = extend()
write_state()
return answer
