-- Script for wrk. bench puts assignments of method, path, headers, bodies, follow and proofs in front.
-- Requests take the bodies in turns, or the DPoP proofs in the lines of a file. With follow, which needs a thread for each connection,
-- thread n begins with body n, and then sends the refresh token of its last response.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init()
  requests = {}
  for i, body in ipairs(bodies) do
    requests[i] = wrk.format(method, path, headers, body)
  end
  if proofs ~= "" then
    requests = {}
    for proof in io.lines(proofs) do
      headers["DPoP"] = proof
      requests[#requests + 1] = wrk.format(method, path, headers, bodies[1])
    end
  end
  turn = follow and number or 0
end

if follow then
  function request()
    return requests[turn]
  end

  function response(_, _, body)
    local token = body:match('"refresh_token":"([^"]+)"')
    local form = bodies[turn]:gsub("refresh_token=[^&]*$", "refresh_token=" .. (token or ""))
    requests[turn] = wrk.format(method, path, headers, form)
  end
else
  function request()
    turn = turn % #requests + 1
    return requests[turn]
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
