-- wrk's script: asks the apps named in APPS in turn, each request with a number of its own, and looks
-- at each answer: who gave it (Server), and to which request, which must be one that is still open.

local apps, threads = {}, {}
for name in os.getenv("APPS"):gmatch("%S+") do
  apps[#apps + 1] = name
end

function setup(thread)
  threads[#threads + 1] = thread
  thread:set("thread_number", #threads)
end

function init(_)
  number, right, wrong, example, open = 0, 0, 0, "", {}
end

function request()
  local app = apps[number % #apps + 1]
  local id = string.format("wrk-%d-%d", thread_number, number)
  number = number + 1
  open[id] = app
  wrk.headers["Host"] = app .. ".test"
  return wrk.format("GET", "/headers?id=" .. id)
end

function response(status, headers, body)
  local id = body:match("^GET /headers%?id=(%S+) ")
  local server = headers["Server"] or headers["server"]
  if status == 200 and id ~= nil and open[id] ~= nil and server == open[id] then
    right = right + 1
  else
    wrong = wrong + 1
    example = string.format("%d, Server %s: %s", status, tostring(server), body:sub(1, 60))
  end
  if id ~= nil then
    open[id] = nil
  end
end

function done(summary, _, _)
  local right, wrong, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    right = right + thread:get("right")
    wrong = wrong + thread:get("wrong")
    example = thread:get("wrong") > 0 and thread:get("example") or example
  end
  local errors = summary.errors
  print(string.format("RESULT %d %d %d %s", right, wrong,
                      errors.connect + errors.read + errors.write + errors.timeout,
                      example:gsub("%c", " ")))
end
