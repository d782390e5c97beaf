-- Lets wrk send the order that comes in the environment's ORDER file, and print what it measured as one JSON line.
-- The file holds the headers, one "name: value" a line, an empty line, and the body.

local file = assert(io.open(os.getenv("BENCH_ORDER"), "r"))
local head, body = file:read("*a"):match("^(.-)\n\n(.*)$")
file:close()

wrk.method = "POST"
wrk.body = body
for name, value in head:gmatch("([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "errors": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f}',
    summary.requests - errors.status,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
