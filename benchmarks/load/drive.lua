-- Makes wrk send the requests of a plan, which wrk.py writes, and checks every response.
-- {session} and {value} in a request are placeholders for numbers of eight digits.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  plan = dofile(arguments[1])
  math.randomseed(plan.fresh + number)
  fresh = plan.fresh + number * plan.numbers_per_thread
  sent, wrong, conflicts, first_wrong = 0, 0, 0, ""
  if plan.think_ms > 0 then
    -- Random pauses, so that requests arrive as from many independent users.
    function delay()
      return math.floor(-plan.think_ms * math.log(1 - math.random()) + 0.5)
    end
  end
end

-- Returns the next request and its session. The requests of a conversation must stay in order, but wrk
-- sends each on any free connection. So conversations take turns, and there are many more of them than
-- connections.
local function next_step()
  local steps = #plan.requests
  if not plan.new_sessions then
    return sent % steps + 1, plan.first_session + math.random(plan.sessions) - 1
  end
  local turn = math.floor(sent / plan.lanes)
  return turn % steps + 1, fresh + math.floor(turn / steps) * plan.lanes + sent % plan.lanes
end

function request()
  local step, session = next_step()
  sent = sent + 1
  local text = plan.requests[step]:gsub("{session}", session)
  return (text:gsub("{value}", fresh + sent))
end

function response(status, headers, body)
  local shortest = plan.responses[status]
  if shortest and #body >= shortest then
    return
  elseif status == plan.conflict then
    conflicts = conflicts + 1
  else
    wrong = wrong + 1
    if wrong == 1 then
      first_wrong = status .. " " .. body:sub(1, 300)
    end
  end
end

function done(summary, latency, requests)
  local wrong, conflicts, first_wrong = 0, 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
    conflicts = conflicts + thread:get("conflicts")
    first_wrong = first_wrong == "" and thread:get("first_wrong") or first_wrong
  end
  local errors = summary.errors
  io.write(string.format(
    "FIGURES %d %d %d %d %d %d %d %d %s\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    wrong, conflicts, errors.connect + errors.read + errors.write + errors.timeout, first_wrong
  ))
end
