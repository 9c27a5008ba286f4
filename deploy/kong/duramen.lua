-- Asks Duramen with the headers and the body of the request. Only an answer of exactly 200 that says allow lets it pass.
local url, key = os.getenv("DURAMEN_URL"), os.getenv("DURAMEN_KEY")
local ANSWER = {
  "x-duramen-status", "x-duramen-decision", "x-duramen-decision-id", "x-duramen-log", "x-duramen-reason",
  "x-duramen-principal", "x-duramen-tenant", "x-duramen-action", "x-duramen-model", "x-duramen-requested-model",
  "x-duramen-tool",
}
local OWN = {
  ["host"] = true, ["content-length"] = true, ["connection"] = true, ["transfer-encoding"] = true,
  ["expect"] = true, ["x-duramen-key"] = true, ["x-original-method"] = true, ["x-original-uri"] = true,
  ["x-original-host"] = true, ["x-original-content-length"] = true,
}
local function unavailable()
  return kong.response.exit(503, '{"error":{"code":"UNAVAILABLE"}}', { ["Content-Type"] = "application/json" })
end
local body = kong.request.get_raw_body()
-- a body that nginx wrote to a file is not shown here
if not url or not key or not body then return unavailable() end
local client = kong.request.get_headers(1000)
local headers = {}
for name, value in pairs(client) do
  if not OWN[name] then headers[name] = value end
end
headers["x-duramen-key"] = key
headers["x-original-method"] = kong.request.get_method()
headers["x-original-uri"] = ngx.var.request_uri
headers["x-original-host"] = kong.request.get_host()
headers["x-original-content-length"] = client["content-length"] or ""
-- chunked bodies have no length that could be compared: they are said to be longer than they are
if client["transfer-encoding"] then headers["x-original-content-length"] = tostring(#body + 1) end
local http = require("resty.http").new()
http:set_timeouts(200, 1000, 1000)
local reply = http:request_uri(url, { method = "POST", headers = headers, body = body })
if not reply or reply.status >= 500 then return unavailable() end
if reply.status == 200 and reply.headers["x-duramen-decision"] == "allow" then
  -- always all of them: an empty one removes what the client sent
  for _, name in ipairs(ANSWER) do
    local value = reply.headers[name]
    if value and value ~= "" then kong.service.request.set_header(name, value)
    else kong.service.request.clear_header(name) end
  end
  kong.service.request.clear_header("x-duramen-key")
  return
end
local status = tonumber(reply.headers["x-duramen-status"] or "")
if not status or status < 400 or status > 499 then status = 403 end
return kong.response.exit(status, reply.body, {
  ["Content-Type"] = "application/json",
  ["WWW-Authenticate"] = reply.headers["www-authenticate"],
  ["X-Duramen-Reason"] = reply.headers["x-duramen-reason"],
  ["X-Duramen-Decision-Id"] = reply.headers["x-duramen-decision-id"],
})
