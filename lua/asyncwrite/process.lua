-- SPDX-License-Identifier: MIT
-- process and signal: child processes, and signals as events. No shell is involved.

local core = require "asyncwrite.core"
core.library()
local executor = require "asyncwrite.executor"
local task = require "asyncwrite.task"

local park, bad_self = task.park, task.bad_self

local M = { process = {} }

-- nginx reaps every child of a worker, whoever started it, and takes signals for itself.
local function refuse_nginx(op)
  if executor.host().name ~= "resty" then return end
  core.raise(op, "not inside nginx: it reaps every child of its workers, and handles their signals, itself")
end

-- One task at a time waits on an object: a second one would take the place of the first.
local function wait(op, object, poll, ...)
  local me = task.need_task(op)
  while true do
    local result, more, code = poll(object.handle, ...)
    if result ~= false then
      if object.waiter == me then object.waiter = nil end
      return result, more, code
    end
    local other = object.waiter
    if other and other ~= me and not other.done then
      core.raise(op, "EBUSY: another task is waiting on it")
    end
    object.waiter = me
    park(op, object)
  end
end

-- ---- Children ----

local Child = {}
Child.__index = Child

local known = { env = true, env_clear = true, cwd = true, stdin = true, stdout = true, stderr = true,
  kill_on_drop = true, detached = true }

local function fault(...) core.arg_error("spawn", 1, "options", string.format(...)) end

local function check_text(name, value)
  if type(value) ~= "string" then fault("%s: string expected, got %s", name, type(value)) end
  if value:find("\0", 1, true) then fault("%s: it holds a zero byte", name) end
  return value
end

local function text_of(name, value)
  if type(value) == "number" then return tostring(value) end
  return check_text(name, value)
end

local function check_args(options)
  local args, n = {}, #options
  for i = 1, n do args[i] = text_of("argument " .. i - 1, options[i]) end
  if n == 0 or args[1] == "" then fault("the program to run is missing") end
  for key in pairs(options) do
    if not known[key] and not (type(key) == "number" and args[key]) then fault("unknown option '%s'", tostring(key)) end
  end
  return args
end

-- The environment of this process with changes, as a list; nil: just that of this process.
local function environment(options)
  local changes = options.env
  if changes == nil and not options.env_clear then return nil end
  if changes ~= nil and type(changes) ~= "table" then fault("env: table expected, got %s", type(changes)) end
  local list, changed = {}, {}
  for name, value in pairs(changes or {}) do
    check_text("env", name)
    if name == "" or name:find("=", 1, true) then fault("env: '%s' cannot be a name", name) end
    changed[name] = true
    if value then list[#list + 1] = name .. "=" .. text_of("env." .. name, value) end
  end
  for _, pair in ipairs(options.env_clear and {} or core.environ()) do
    if not changed[pair:match("^([^=]*)")] then list[#list + 1] = pair end
  end
  return list
end

local words = { pipe = true, null = true }

-- "pipe", "null", a descriptor or a stream.
local function check_stdio(options, name, number)
  local value = options[name]
  if value == nil or value == "inherit" then return number end
  if words[value] or core.is_box(value) then return value end
  if type(value) == "number" and value >= 0 and value % 1 == 0 and value < 2 ^ 31 then return value end
  fault("%s: 'pipe', 'inherit', 'null', a descriptor or a stream expected, got %s", name, tostring(value))
end

--- Starts a program: { "name or path", "argument", ..., options }. Options: env (names and values to set, false removes
--- one), env_clear (only these), cwd; stdin, stdout, stderr: "inherit" (default), "pipe", "null", a descriptor or a stream
--- with one; kill_on_drop (false), detached (false). With "pipe" the child has a stream of that name.
function M.process.spawn(options)
  if type(options) ~= "table" then core.arg_error("spawn", 1, "options", "table expected, got " .. type(options)) end
  refuse_nginx("spawn")
  local args, env = check_args(options), environment(options)
  local cwd = options.cwd ~= nil and check_text("cwd", options.cwd) or nil
  local handle, stdin, stdout, stderr = core.process_spawn(args, env, cwd, check_stdio(options, "stdin", 0),
    check_stdio(options, "stdout", 1), check_stdio(options, "stderr", 2), options.kill_on_drop and true or false,
    options.detached and true or false)
  if not handle then return nil, stdin, stdout end
  return setmetatable({ handle = handle, name = args[1], stdin = stdin, stdout = stdout, stderr = stderr }, Child)
end

--- Waits for its end: its exit status, and the name of the signal that ended it (then the status is 128 + its number).
function Child:wait()
  if getmetatable(self) ~= Child then bad_self(self, "wait", "child") end
  local status, signal, code = wait("wait", self, self.handle.poll)
  if code then return nil, signal, code end
  if signal then return status, signal end
  return status
end

--- As wait, but false while it runs.
function Child:try_wait()
  if getmetatable(self) ~= Child then bad_self(self, "try_wait", "child") end
  return self.handle:poll(true)
end

--- Sends it a signal, by name or number; "SIGTERM". ESRCH once its end was seen.
function Child:kill(signal)
  if getmetatable(self) ~= Child then bad_self(self, "kill", "child") end
  return self.handle:kill(signal == nil and "SIGTERM" or signal)
end

--- Sends it and all it started that stayed in its process group a signal; it must be detached. ESRCH once its end was seen.
function Child:kill_group(signal)
  if getmetatable(self) ~= Child then bad_self(self, "kill_group", "child") end
  return self.handle:kill_group(signal == nil and "SIGTERM" or signal)
end

--- Its process id.
function Child:pid()
  if getmetatable(self) ~= Child then bad_self(self, "pid", "child") end
  return self.handle:pid()
end

--- Drops it: closes its three streams; with kill_on_drop it is killed, else it runs on.
function Child:close()
  if getmetatable(self) ~= Child then bad_self(self, "close", "child") end
  for _, stream in pairs { self.stdin or false, self.stdout or false, self.stderr or false } do
    if stream and not stream:is_closed() then stream:close() end
  end
  self.handle:free()
end
Child.__close = Child.close

function Child:__tostring() return ("process %d (%s)"):format(self.handle:pid(), self.name) end

-- ---- Signals ----

local Signal = {}
Signal.__index = Signal

--- Listens to a signal, by name or number, until close.
function M.signal(signal)
  refuse_nginx("signal")
  local handle, message, code = core.signal(signal)
  if not handle then return nil, message, code end
  return setmetatable({ handle = handle, name = tostring(signal) }, Signal)
end

--- Waits until the signal has come since the last recv; several may count as one.
function Signal:recv()
  if getmetatable(self) ~= Signal then bad_self(self, "recv", "signal") end
  local ok, message, code = wait("recv", self, self.handle.poll)
  if ok then return true end
  return nil, message, code
end

--- Stops listening: the process does with the signal what it did before. Who waits gets ECANCELED.
function Signal:close()
  if getmetatable(self) ~= Signal then bad_self(self, "close", "signal") end
  self.handle:free()
  local waiter = self.waiter
  self.waiter = nil
  if waiter and not waiter.done then waiter.handle:wake() end
end
Signal.__close = Signal.close

function Signal:__tostring() return "signal " .. self.name end

return M
