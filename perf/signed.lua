-- wrk script: signed requests from the file SIGNED (id, signature, body); after its first pass each gets a delivery
-- id of its own. GitHub's signature does not cover that header, so it still verifies. Without this the file runs out
-- after some thousand requests, and a server that recognises duplicates is measured answering them without its disk.
-- PASS sets where the passes begin, so that several runs against one server share no id; REPEAT keeps them there, so that
-- the file comes again and again with the same ids.
local step = os.getenv("REPEAT") and 0 or 1
local requests, places, count, index, pass = {}, {}, 0, 0, tonumber(os.getenv("PASS") or "0")
function init(args)
  for line in io.lines(os.getenv("SIGNED")) do
    local id, signature, body = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    count = count + 1
    requests[count] = wrk.format("POST", os.getenv("TARGET"), {["X-GitHub-Event"]="push",
      ["Content-Type"]="application/json",
      ["X-GitHub-Delivery"]=id, ["X-Hub-Signature-256"]=signature, ["User-Agent"]="GitHub-Hookshot/044aadd"}, body)
    places[count] = requests[count]:find(id, 1, true)
  end
end
function request()
  index = index + 1
  if index > count then index, pass = 1, pass + step end
  local whole = requests[index]
  if pass == 0 then return whole end
  local place = places[index]
  return whole:sub(1, place - 1) .. string.format("%08x", pass) .. whole:sub(place + 8)
end
