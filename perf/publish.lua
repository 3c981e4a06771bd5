-- wrk script: events published through the API. With IDS each has an event id of its own, else none has one; with
-- MESSAGE they are messages of an application, in the words of Svix's clients.
local count, head, tail, ids = 0, "", "", os.getenv("IDS")
local message = os.getenv("MESSAGE")
local start = tostring(os.getenv("PASS") or "0")
function init(args)
  local fill = string.rep("x", math.max(0, tonumber(os.getenv("BODY")) - 16))
  head = '{"' .. (message and "eventType" or "type") .. '":"order.paid","payload":{"fill":"' .. fill .. '"}'
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["X-Sluice-Request"] = "1"
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
end
function request()
  count = count + 1
  local id = ids and (',"' .. (message and "eventId" or "event_id") .. '":"' .. start .. "-" .. count .. '"') or ""
  return wrk.format(nil, nil, nil, head .. id .. "}")
end
