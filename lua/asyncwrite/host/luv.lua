-- SPDX-License-Identifier: MIT
-- The host of luv programs and of Neovim: a guest of their loop. `require "asyncwrite.host.luv"` before the first task.
--
-- The loop of the library stays its own; luv only watches its descriptor and the time, by handles of luv's own making.
-- They exist from the first task on and keep uv.run() going while a task lives that something can wake.
-- * At top level run turns luv's loop until its tasks have ended. In a callback of luv it raises: use spawn.
-- * In Neovim run waits as vim.wait does: the editor goes on, Ctrl-C ends it, telling of tasks that nothing can wake.
--   Tasks run where luv's callbacks run, so most of vim.api is out of their reach: main(f, ...) calls f on the main loop
--   and waits for its results.
-- * Errors of tasks that nobody joins go to stderr, in Neovim to vim.notify; never through a callback of luv.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"
local guest = require "asyncwrite.host.guest"
local task = require "asyncwrite.task"

local vim = rawget(_G, "vim")
local in_neovim = type(vim) == "table" and type(vim.in_fast_event) == "function"
local uv = in_neovim and (vim.uv or vim.loop) or require "luv"
local unpack = table.unpack or unpack

local M = { name = "luv" }

local FOREVER = 2 ^ 31 - 1 -- milliseconds, the most that vim.wait takes

local poll, timer, watch -- handles of luv: our descriptor, our time, and what looks for tasks that nothing can wake
local living = false     -- there are tasks
local driving = 0        -- calls of run on the stack
local problem            -- why the innermost run has to give up
local warned             -- what was last said of tasks that nothing can wake
local closing = 0        -- handles that from_luv is closing; luv 1.44 crashes at exit if its loop has not done it
local pump

-- ---- Handles ----
local function must(handle, message)
  if not handle then core.raise("spawn", "luv: " .. message) end
  return handle
end

-- A program that closes every handle it finds by uv.walk closes ours too: they are made anew.
local function open()
  if poll and not (poll:is_closing() or timer:is_closing() or watch:is_closing()) then return end
  M.close()
  poll, timer, watch = must(uv.new_poll(core.backend_fd())), must(uv.new_timer()), must(uv.new_prepare())
  timer:unref() -- poll alone keeps the loop going
  watch:unref()
end

--- Closes the handles, as a program that ends its loop by uv.loop_close() wants; uv.run() does it. The next task makes
--- new ones.
function M.close()
  for _, handle in ipairs { poll, timer, watch } do
    if not handle:is_closing() then handle:close() end
  end
  poll, timer, watch = nil, nil, nil
end

local function stop()
  if not poll or poll:is_closing() then return end
  poll:stop()
  timer:stop()
  watch:stop()
end

-- ---- Tasks that nothing can wake ----
local function give_up(text)
  if driving > 0 then
    problem = problem or text
  else
    executor.warn(tostring(text))
  end
end

-- Before each wait of luv's loop, while no task of ours waits for anything in our loop: is there another handle that may
-- wake one? If not, uv.run() would never return.
local function look()
  local ready, waiting = core.pending()
  if ready > 0 or waiting > 0 then return watch:stop() end
  poll:unref()
  local others = uv.loop_alive()
  poll:ref()
  local text = not others and executor.stuck()
  if not text then return end
  uv.stop()
  if driving > 0 or text ~= warned then give_up(text) end
  warned = text
end

-- ---- The pump ----
local function wait(timeout)
  poll:start("r", pump)
  if timeout <= 0 then
    timer:stop()
    if timeout == 0 then core.poke() end -- a timer of 0 that is started by itself keeps libuv busy before 1.45
  else
    uv.update_time() -- luv counts from the time it last looked at the clock
    timer:start(timeout, 0, pump)
  end
  local ready, waiting = core.pending()
  if ready == 0 and waiting == 0 then watch:start(look) else watch:stop() end
end

function pump()
  local ok, timeout = pcall(guest.pump)
  if not ok then
    stop()
    return give_up(timeout)
  end
  if timeout == nil then return stop() end
  if living then
    open()
    wait(timeout)
  end
end

--- For polls outside tasks (with_waker in a callback of luv): lets the loop take notice of what they wait for. Wakers
--- are called only while a task lives.
M.pump = pump

function M.alive(on)
  if on then
    open()
    poll:start("r", pump)
  else
    stop()
  end
  living = on
end

-- ---- run ----
--- Raises where run cannot wait.
function M.check()
  local inside
  if in_neovim then inside = vim.in_fast_event() else inside = uv.loop_mode and uv.loop_mode() ~= nil end
  if inside then core.raise("run", "already running, inside a callback of luv; use spawn") end
end

local function turn(ended)
  if in_neovim then
    local _, code = vim.wait(FOREVER, ended, FOREVER)
    if code == -2 then
      local stuck = executor.stuck()
      problem = problem or "interrupted" .. (stuck and "; " .. stuck or "")
    end
  else
    uv.run("once")
  end
end

local function drive(main, group)
  local function ended() return group.left == 0 or main.failed or problem ~= nil end
  while not ended() do
    open()
    if not poll:is_active() then wait(0) end
    turn(ended)
  end
  while closing > 0 and not in_neovim do uv.run("nowait") end
end

function M.run(main, group, f, ...)
  executor.start_later(main, f, ...)
  local outer = problem
  problem, driving = nil, driving + 1
  local ok, err = pcall(drive, main, group)
  local why = problem
  problem, driving = outer, driving - 1
  if not ok then error(err, 0) end
  return why
end

-- ---- Streams of luv ----
local kinds = { tcp = core.tcp_open, pipe = core.pipe_open }

-- A write of nothing is done when everything before it is.
local function wait_written(handle, queued)
  local me, done, problem_of_write = task.current(), false, nil
  if not me then core.raise("from_luv", ("%d bytes are not written yet; call it in a task, to wait"):format(queued)) end
  local request, message, code = uv.write(handle, "", function(err)
    done, problem_of_write = true, err
    if not me.done then me.handle:wake() end
  end)
  if not request then return nil, message, code end
  while not done do task.park("from_luv", handle) end
  if not problem_of_write then return true end
  return nil, problem_of_write .. ": a write of luv's failed", problem_of_write
end

local function check_handle(handle)
  local ok, kind = pcall(uv.handle_get_type, handle)
  if not ok or not kinds[kind] then
    core.arg_error("from_luv", 1, "handle", "uv_tcp_t or uv_pipe_t expected, got " .. tostring(ok and kind or type(handle)))
  end
  if uv.is_closing(handle) then core.arg_error("from_luv", 1, "handle", "it is closing") end
  if not (uv.is_readable(handle) or uv.is_writable(handle)) then
    core.arg_error("from_luv", 1, "handle", "it is not connected")
  end
  return kind
end

--- Takes over a connected tcp or pipe handle of luv: a stream on the same descriptor (dup'd); the handle is closed.
--- Its callbacks come no more: reading is stopped, and what luv has not handed out yet the stream reads. What luv has
--- queued for writing goes out first: in a task it is waited for, elsewhere a queue that is not empty raises.
--- On failure the handle stays open, and reading stopped: nil, message, code.
function M.from_luv(handle)
  local kind = check_handle(handle)
  uv.read_stop(handle)
  local queued = uv.stream_get_write_queue_size(handle)
  local ok, message, code
  if queued > 0 then
    ok, message, code = wait_written(handle, queued)
    if not ok then return nil, message, code end
    if uv.is_closing(handle) then return nil, "ECANCELED: the handle was closed meanwhile", "ECANCELED" end
  end
  local fd, stream
  fd, message, code = uv.fileno(handle)
  if not fd then return nil, message, code end
  stream, message, code = kinds[kind](fd)
  if not stream then return nil, message, code end
  closing = closing + 1
  uv.close(handle, function() closing = closing - 1 end)
  return stream
end

-- ---- Neovim ----
if in_neovim then
  function M.warn(text)
    vim.schedule(function() vim.notify(text, vim.log.levels.ERROR) end)
  end

  --- Calls f(...) on Neovim's main loop, where all of vim.api may be called, and waits for its results or its error.
  function M.main(f, ...)
    local me, args, results = task.need_task("main"), { n = select("#", ...), ... }, nil
    local function keep(...) results = { n = select("#", ...), ... } end
    vim.schedule(function()
      if me.done then return end
      keep(pcall(f, unpack(args, 1, args.n)))
      me.handle:wake()
    end)
    while not results do task.park("main") end
    if not results[1] then error(results[2], 0) end
    return unpack(results, 2, results.n)
  end
end

executor.set_host(M)
require "asyncwrite".from_luv = M.from_luv

return M
