-- SPDX-License-Identifier: MIT
-- The specs inside a worker of nginx: a content handler runs them, test by test, and reports.

local lu = require "luaunit"
local nginx_support = require "support.nginx"

local T = { tearDown = nginx_support.stop }

-- The others are about other processes, or about what nginx has another way of.
local UNIT = {
  "task", "task_wait", "sync", "context", "box", "net", "net_fault", "pipe", "unix", "custom", "serve", "graph", "gc",
  "errors", "errors_make",
}

-- What differs in nginx, by design (README) or by ngx_lua's.
local EXCEPT = {
  -- Requests are no part of each other: run has its own tasks only.
  "test_run_inside_a_coroutine_of_a_task_raises", "test_tasks_spawned_before_run_are_run_by_it",
  -- Outside of tasks spawn starts at once.
  "test_waiting_operations_outside_a_task_raise_name_themselves_and_write_nothing",
  -- A light thread can be resumed by nginx alone.
  "test_a_coroutine_that_somebody_else_resumed_polls_again_or_fails_its_task",
  "test_what_somebody_else_resumes_a_waiting_task_with_is_not_taken_for_its_arguments",
  -- A light thread that yields by itself goes on when nginx lets it, which is later than the test looks.
  "test_a_task_whose_hook_raised_in_a_method_that_waits_goes_on_after_a_bare_yield",
  -- A dropped thread unwinds when nginx lets it run: its descriptor is still open when timeout returns.
  "test_a_connect_cut_by_a_timeout_leaks_no_descriptor",
  -- ngx_lua: an error in a function of coroutine.wrap ends the whole light thread, whatever is around it.
  "test_waiting_in_a_coroutine_nested_in_a_task_raises",
}

local function run(nginx, files)
  local passed, skipped, problems = 0, 0, {}
  for _, file in ipairs(files) do
    local answer, why = nginx:get(("/spec?root=%s&file=%s&except=,%s,"):format(nginx.root, file, table.concat(EXCEPT, ",")))
    local ok, failed, left = (answer or ""):match("(%d+) passed, (%d+) failed, (%d+) skipped$")
    passed, skipped = passed + (tonumber(ok) or 0), skipped + (tonumber(left) or 0)
    if failed ~= "0" then problems[#problems + 1] = file .. "\n" .. tostring(answer or why) end
  end
  print(("in a worker of nginx: %d passed, %d skipped"):format(passed, skipped))
  if #problems > 0 then lu.fail(table.concat(problems, "\n")) end
  return passed
end

local OPTIONS = { as_root = true, seconds = 240 }

T.test_the_conformance_specs_pass_in_a_worker = nginx_support.test(OPTIONS, function(nginx)
  local files = {}
  for file in io.popen("ls spec/conformance/*_spec.lua"):lines() do
    -- Not the table of what the others found, nor what is about the kit itself.
    local apart = file:find("/z_table") or file:find("/kit_") or file:find("/stacks_")
    if not apart then files[#files + 1] = file end
  end
  lu.assertTrue(run(nginx, files) > 190)
end)

T.test_the_unit_specs_pass_in_a_worker = nginx_support.test(OPTIONS, function(nginx)
  local files = {}
  for i, name in ipairs(UNIT) do files[i] = ("spec/unit/%s_spec.lua"):format(name) end
  lu.assertTrue(run(nginx, files) > 200)
end)

return T
