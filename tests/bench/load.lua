-- wrk's script: what to ask for, and one line of JSON about what came of it. The settings are in the
-- environment: METHOD, BODY_BYTES, HOSTS (that many hosts hNUMBER.test in turn; STRIDE apart).

local hosts = tonumber(os.getenv("HOSTS") or "0")
local stride = tonumber(os.getenv("STRIDE") or "1")
local requests = {}
local at = 0

function init(_)
  wrk.method = os.getenv("METHOD") or "GET"
  local size = tonumber(os.getenv("BODY_BYTES") or "0")
  if size > 0 then
    wrk.body = string.rep("x", size)
  end
  if hosts == 0 then
    requests[1] = wrk.format()
  end
  for number = 1, hosts do
    wrk.headers["Host"] = string.format("h%d.test", (number - 1) * stride)
    requests[number] = wrk.format()
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "usec": %d, "bytes": %d, "p50_usec": %d, "p99_usec": %d, ' ..
    '"lost": %d, "wrong": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.timeout,
    errors.status))
end
