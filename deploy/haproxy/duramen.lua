-- Asks Duramen with the headers and the body of the request. Sets txn.duramen_allow only for an answer of exactly
-- 200 that says allow; on any error it stays unset, which the rules of haproxy.cfg take for deny.
local url = os.getenv("DURAMEN_URL")
local key = os.getenv("DURAMEN_KEY")
local OWN = {
  ["host"] = true, ["content-length"] = true, ["connection"] = true, ["transfer-encoding"] = true,
  ["x-original-method"] = true, ["x-original-uri"] = true, ["x-original-host"] = true,
  ["x-original-content-length"] = true, ["x-user"] = true, ["x-duramen-key"] = true, ["expect"] = true,
  ["x-ssl-client-verify"] = true, ["x-ssl-client-cert"] = true,
}

-- what a client that is denied is told of its limits
local LIMITS = {
  "retry-after", "ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
}

local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0] or ""
end

core.register_action("duramen", { "http-req" }, function(txn)
  local headers, client = {}, txn.http:req_get_headers()
  for name, values in pairs(client) do
    -- what only the gateway may say is taken from it alone; other headers pass as they are, each time
    if not OWN[name] then
      local list = {}
      for at = 0, #values do list[at + 1] = values[at] end
      headers[name] = list
    end
  end
  local body = txn.sf:req_body() or ""
  headers["host"] = { "duramen" }
  if key then headers["x-duramen-key"] = { key } end
  local caller, certificate = txn:get_var("txn.caller"), txn:get_var("txn.client_cert")
  if caller then headers["x-user"] = { caller } end
  if certificate and certificate ~= "" then
    headers["x-ssl-client-cert"] = { certificate }
    headers["x-ssl-client-verify"] = { tostring(txn:get_var("txn.client_verify")) }
  end
  headers["x-original-method"] = { txn.sf:method() }
  headers["x-original-uri"] = { txn.sf:pathq() }
  headers["x-original-host"] = { first(client, "host") }
  headers["x-original-content-length"] = { first(client, "content-length") }
  -- chunked bodies have no length that could be compared: they are said to be longer than they are
  if client["transfer-encoding"] then headers["x-original-content-length"] = { tostring(#body + 1) } end
  local reply = core.httpclient():post({ url = url, headers = headers, body = body, timeout = 1000 })
  if not reply or not reply.headers then return end
  local said = reply.headers
  txn:set_var("txn.duramen_reason", first(said, "x-duramen-reason"))
  txn:set_var("txn.duramen_body", reply.body or "")
  txn:set_var("txn.duramen_decision_id", first(said, "x-duramen-decision-id"))
  txn:set_var("txn.duramen_principal", first(said, "x-duramen-principal"))
  txn:set_var("txn.duramen_tenant", first(said, "x-duramen-tenant"))
  txn:set_var("txn.duramen_model", first(said, "x-duramen-model"))
  for _, name in ipairs(LIMITS) do
    local variable = name:gsub("-", "_")
    txn:set_var("txn.duramen_" .. variable, first(said, name))
  end
  if reply.status == 200 and first(said, "x-duramen-decision") == "allow" then
    txn:set_var("txn.duramen_allow", true)
  elseif reply.status < 500 then
    txn:set_var("txn.duramen_status", first(said, "x-duramen-status"))
  end
end)
