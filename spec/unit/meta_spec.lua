-- SPDX-License-Identifier: MIT
-- lua/asyncwrite/core.d.lua against the real module, both ways. Every documented function is called with arguments made
-- from its documented types, on objects that are not ready: it must take them, and suspend exactly if it is marked async.

local lu = require "luaunit"
local aw = require "asyncwrite"
local core = require "asyncwrite.core"
local check = require "support.check"

local FILE = "lua/asyncwrite/core.d.lua"

-- ---- Reading the meta file ----

local function split_names(list)
  local names = {}
  for name in list:gmatch("[%w_.]+") do names[#names + 1] = name end
  return names
end

-- What the lines of one comment say.
local function parse_block(lines)
  local block = { params = {}, fields = {}, returns = {}, text = {}, lines = lines }
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^%-%-%-@(%a+)%s*(.*)")
    if tag == "param" then
      local name, optional, kind = rest:match("^([%w_.]+)(%??)%s+(.+)$")
      block.params[#block.params + 1] = { name = name, optional = optional == "?", kind = kind }
    elseif tag == "field" then
      block.fields[rest:match("^[%w_%[%]]+")] = rest
    elseif tag == "return" then
      block.returns[#block.returns + 1] = rest
    elseif tag == "async" then
      block.async = true
    elseif tag == "class" then
      block.class = rest:match("^[%w_.]+")
      block.parents = rest:match(":%s*(.+)$")
    elseif not tag then
      block.text[#block.text + 1] = line
    end
  end
  return block
end

-- { functions, in order; classes, by name }. A function has class, name, method, params (names in the definition), block.
local function parse()
  local functions, classes, variables, comment = {}, {}, {}, {}
  for line in io.lines(FILE) do
    if line:find("^%-%-%-") then
      comment[#comment + 1] = line
    else
      local block = parse_block(comment)
      comment = {}
      local class = block.class
      if class then
        classes[class] = { fields = block.fields, functions = {}, parents = block.parents }
        variables[line:match("^local ([%w_]+) = {}$") or ""] = class
      end
      local owner, separator, name, params = line:match("^function ([%w_]+)([.:])([%w_]+)%((.*)%) end$")
      if owner then
        local f = { class = variables[owner], name = name, params = split_names(params), block = block }
        f.method = separator == ":"
        f.title = f.class .. separator .. name
        functions[#functions + 1] = f
        classes[f.class].functions[name] = f
      elseif line:find("function", 1, true) and not line:find("^%s*%-%-") then
        error(FILE .. ": a definition this spec cannot read: " .. line)
      end
    end
  end
  return { functions = functions, classes = classes }
end

local meta = parse()

-- ---- Objects and arguments ----

local made = {} -- what the tests have to close: streams, and tasks that would wait for ever

local function note(object)
  made[#made + 1] = object
  return object
end

local function close_all()
  for i = #made, 1, -1 do
    local object = made[i]
    if object.cancel then object:cancel()
    elseif not (aw.is_stream(object) and object:is_closed()) then object:close() end
  end
  made = {}
end

-- One object per class, as far from ready as can be. The argument is the name of the method that will be called.
local make = {}

make["asyncwrite.Stream"] = function() return aw.buf_writer(aw.sink()) end

-- Its buffer is full, and so is what is behind it.
make["asyncwrite.Writer"] = function()
  local near, far = aw.duplex(1)
  note(far)
  near:try_write("x")
  local w = note(aw.buf_writer(near, 2))
  for _ = 1, 2 do w:try_write("y") end
  return w
end

make["asyncwrite.Duplex"] = function()
  local near, far = aw.duplex(1)
  note(far)
  return note(near)
end
make["asyncwrite.Reader"] = make["asyncwrite.Duplex"]

make["asyncwrite.Listener"] = function() return note(assert(aw.tcp.listen("127.0.0.1", 0))) end

make["asyncwrite.Socket"] = function()
  local listener = make["asyncwrite.Listener"]()
  local host, port = listener:local_addr()
  return note(assert(aw.tcp.connect(host, port)))
end
make["asyncwrite.Descriptor"] = make["asyncwrite.Socket"]

local function scratch_file()
  local path = os.tmpname()
  note { close = function() os.remove(path) end }
  return path
end
make["asyncwrite.File"] = function() return note(assert(aw.file.open(scratch_file(), "w+"))) end
make["asyncwrite.Child"] = function()
  return note(assert(aw.process.spawn { "sleep", "60", stdin = "pipe", stdout = "pipe", stderr = "pipe", kill_on_drop = true }))
end
make["asyncwrite.SpawnOptions"] = function() return { "true" } end
make["asyncwrite.Signal"] = function() return note(aw.signal("SIGUSR2")) end

make["asyncwrite.Memory"] = function() return aw.memory() end
make["asyncwrite.Cursor"] = function() return aw.cursor("some bytes") end
make["asyncwrite.Tee"] = function() return aw.tee { aw.memory(), aw.sink() } end
make["asyncwrite.Throttled"] = function() return aw.throttle(aw.memory(), 5) end
make["asyncwrite.Limited"] = function() return aw.limit(aw.memory(), 5) end
make["asyncwrite.Checksum"] = function() return aw.checksum(aw.memory(), "crc32") end
make["asyncwrite.Methods"] = function() return { poll_write = function(_, s) return #s end } end
make["asyncwrite.Task"] = function()
  return note(aw.spawn(function() aw.notify():notified() end))
end
make["asyncwrite.Waker"] = function() return aw.waker(function() end) end
make["asyncwrite.Budget"] = function() return aw.budget(10) end
make["asyncwrite.Notify"] = function() return aw.notify() end

make["asyncwrite.Mutex"] = function()
  local mutex = aw.mutex()
  mutex:try_lock()
  return mutex
end
make["asyncwrite.Guard"] = function() return aw.mutex():try_lock() end

make["asyncwrite.Channel"] = function(method)
  local channel = aw.channel(1)
  if method == "send" then channel:try_send(1) end
  return channel
end

local plain = {
  any = function() return 1 end,
  string = function() return "x" end,
  integer = function() return 1 end,
  number = function() return 0.01 end,
  boolean = function() return true end,
  ["(string|number)[]"] = function() return { "x", 1 } end,
  fun = function() return function() end end,
  ["async fun"] = function() return function() aw.notify():notified() end end,
}

local function traced()
  local w = aw.sink()
  w:trace()
  return w
end

-- Arguments that their types alone do not tell: values by parameter, or a function that gives all of them.
local special = {
  ["asyncwrite.tcp.connect"] = function() return { "localhost", 1 } end,
  ["asyncwrite.trace.text"] = function() return { traced() } end,
  ["asyncwrite.trace.chrome"] = function() return { traced() } end,
  ["asyncwrite.tcp.listen"] = function() return { "localhost", 0 } end,
  ["asyncwrite.unix.connect"] = function() return { "/nonexistent/socket" } end,
  ["asyncwrite.unix.listen"] = function()
    local path = os.tmpname()
    os.remove(path)
    return { path }
  end,
  ["asyncwrite.pipe.open"] = function()
    return { note(assert(aw.unix.pair())):fd() }
  end,
  ["asyncwrite.file.open"] = function() return { scratch_file() } end,
  ["asyncwrite.file.create"] = function() return { scratch_file() } end,
  ["asyncwrite.signal"] = function() return { "SIGUSR1" } end,
  ["asyncwrite.unsplit"] = function() return { aw.split(aw.duplex(1)) } end,
  ["asyncwrite.tee"] = function() return { { aw.memory(), aw.sink() } } end,
  ["asyncwrite.checksum"] = function() return { aw.memory(), "sha256" } end,
  ["asyncwrite.checksum_reader"] = function() return { aw.cursor("x"), "sha256" } end,
  ["asyncwrite.budget"] = function() return { 10 } end,
  ["asyncwrite.Budget:set_limit"] = function() return { 10 } end,
  ["asyncwrite.Reader:consume"] = function() return { 0 } end,
}
for _, name in ipairs { "u128", "i128", "u128_le", "i128_le" } do
  special["asyncwrite.Writer:write_" .. name] = function() return { 1, 2 } end
end

local function sample(kind, title)
  local first = kind:match("^async fun") or kind:match("^fun") or kind:match("^%b()%[%]") or kind:match("^[%w_.]+")
  local maker = plain[first] or make[first]
  if not maker then error(title .. ": no sample of the type '" .. kind .. "'") end
  return maker()
end

-- Arguments by the documented types; optional ones are left out.
local function arguments(f)
  if special[f.title] then return special[f.title]() end
  local args = {}
  for i, p in ipairs(f.block.params) do
    if p.optional then break end
    args[i] = sample(p.kind, f.title)
  end
  return args
end

local modules = { ["asyncwrite"] = aw, ["asyncwrite.tcp"] = aw.tcp, ["asyncwrite.unix"] = aw.unix, ["asyncwrite.pipe"] = aw.pipe,
  ["asyncwrite.file"] = aw.file, ["asyncwrite.process"] = aw.process, ["asyncwrite.trace"] = aw.trace }

-- The function that is documented as f and the arguments for it, its object first.
local function real(f)
  local args = arguments(f)
  if not f.method then return modules[f.class][f.name], args end
  local object = make[f.class](f.name)
  table.insert(args, 1, object)
  return object[f.name], args
end

local unpack = table.unpack or unpack

local load = loadstring or load -- luacheck: ignore 143

-- Calls a function by its name, as scripts do, in a task of its own: whether it suspended, and what it returned or
-- raised, if it did not.
local function call(f, args, name)
  name = name or "f"
  local chunk = assert(load(("local holder, unpack, args = ... local results = { holder.%s(unpack(args, 1, args.n or #args)) }\n"
    .. "return unpack(results)"):format(name)))
  local results
  local task = aw.spawn(function() results = { pcall(chunk, { [name] = f }, unpack, args) } end)
  aw.yield()
  local suspended = results == nil -- noted before the cancel, which LuaJIT's pcall catches
  task:cancel()
  for _, result in ipairs(results or {}) do
    if aw.is_stream(result) or type(result) == "table" and (result.cancel or result.handle) then note(result) end
  end
  return suspended, unpack(results or {})
end

-- ---- The tests ----

local function public(t)
  local names = {}
  for name in pairs(t) do
    if type(name) == "string" and not name:find("^__") then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- Own functions and fields of documented classes.
local function documented(...)
  local all = {}
  for i = 1, select("#", ...) do
    local class = meta.classes[(select(i, ...))]
    for name in pairs(class.functions) do all[name] = true end
    for name in pairs(class.fields) do all[name] = true end
  end
  return public(all)
end

-- The body of a test that makes objects.
local function run(f)
  check.run(function()
    local ok, err = pcall(f)
    close_all()
    if not ok then error(err, 0) end
  end)
end

local M = {}

function M.test_everything_in_the_module_is_documented_and_what_is_documented_is_there()
  for name, module in pairs(modules) do lu.assertEquals(documented(name), public(module), name) end
end

local stream_classes = {}
for name in pairs(meta.classes) do
  local base = name
  while base and base ~= "asyncwrite.Stream" do
    local parents = meta.classes[base].parents
    base = parents and parents:match("^[%w_.]+")
  end
  if base then stream_classes[#stream_classes + 1] = name end
end

function M.test_every_method_of_streams_is_documented_and_what_is_documented_is_there()
  lu.assertEquals(documented(unpack(stream_classes)), public(core.methods))
end

function M.test_the_methods_of_what_is_no_stream_are_documented_and_there()
  run(function()
    for _, short in ipairs { "Task", "Waker", "Mutex", "Guard", "Notify", "Channel", "Child", "Signal", "Budget" } do
      local class = "asyncwrite." .. short
      local object = make[class]()
      lu.assertEquals(public(meta.classes[class].functions), public(debug.getmetatable(object).__index), class)
      for name in pairs(meta.classes[class].fields) do lu.assertNotNil(object[name], class .. "." .. name) end
    end
  end)
end

function M.test_the_internal_module_is_documented_and_what_is_documented_is_there()
  local internal = {}
  for name, value in pairs(core) do
    if aw[name] ~= value then internal[name] = true end
  end
  lu.assertEquals(documented("asyncwrite.core"), public(internal))
  lu.assertEquals(documented("asyncwrite.core.Timer"), public(debug.getmetatable(core.timer(0)).__index))
  lu.assertEquals(documented("asyncwrite.core.Dice"), public(debug.getmetatable(core.dice(1, {})).__index))
  lu.assertEquals(documented("asyncwrite.core.Lookup"), public(debug.getmetatable(core.resolve("::1", "1", false)).__index))
  lu.assertEquals(documented("asyncwrite.core.Pump"),
    public(debug.getmetatable(core.copy(aw.cursor(), aw.sink(), 1, false)).__index))
  run(function()
    local task = aw.spawn(function() end)
    lu.assertEquals(documented("asyncwrite.core.Handle"), public(debug.getmetatable(task.handle).__index))
  end)
end

function M.test_annotations_name_the_parameters_in_order_and_say_what_the_function_does()
  for _, f in ipairs(meta.functions) do
    local names = {}
    for i, p in ipairs(f.block.params) do names[i] = p.name end
    lu.assertEquals(names, f.params, f.title)
    lu.assertTrue(#f.block.text + #f.block.params + #f.block.returns > 0, f.title .. " is not described")
  end
end

function M.test_every_type_that_annotations_name_is_defined()
  for line in io.lines(FILE) do
    local annotation = line:match("^%-%-%-@(.*)")
    for name in (annotation or ""):gmatch("asyncwrite[%w_.]*") do
      lu.assertNotNil(meta.classes[name], ("%s in: %s"):format(name, line))
    end
  end
end

-- A function may have more parameters than its documentation tells of.
function M.test_the_parameters_of_functions_in_lua_have_the_documented_names()
  run(function()
    for _, f in ipairs(meta.functions) do
      local func = real(f)
      local info = debug.getinfo(func, "Su")
      local forwards = info.isvararg and info.nparams == 1 and f.params[1] ~= "..." -- what it takes is its poll's business
      if info.what ~= "C" and not forwards then
        local shift, vararg = f.method and 1 or 0, false
        for i, name in ipairs(f.params) do
          if name == "..." then vararg = true
          else lu.assertEquals(debug.getlocal(func, i + shift), name, f.title) end
        end
        if info.isvararg ~= nil then lu.assertEquals(vararg, info.isvararg, f.title .. ": ...") end
      end
    end
  end)
end

-- Not shown by a call: a connect to a Unix socket succeeds or fails at once, but while a stream is new it may wait.
local suspends_unseen = { ["asyncwrite.unix.connect"] = true }

function M.test_every_function_takes_what_is_documented_and_suspends_exactly_if_marked_async()
  run(function()
    for _, f in ipairs(meta.functions) do
      local func, args = real(f)
      lu.assertIsFunction(func, f.title)
      local suspended, ok, result = call(func, args, f.name)
      local misuse = ok == false and tostring(result) or ""
      if misuse:find("^[^\n]*bad %a+") then lu.fail(f.title .. ": " .. misuse) end
      if not suspends_unseen[f.title] then
        lu.assertEquals(suspended, f.block.async == true, f.title .. " suspends")
      end
      local kind = f.block.returns[1] or ""
      if kind:find("^async fun") or kind:find("^fun") then
        lu.assertEquals((call(result, {})), kind:find("^async") ~= nil, "what " .. f.title .. " returns suspends")
      end
    end
  end)
end

function M.test_no_poll_and_no_try_is_marked_async()
  local seen = 0
  for _, f in ipairs(meta.functions) do
    if f.name:find("^poll_") or f.name:find("^try_") then
      lu.assertNil(f.block.async, f.title)
      seen = seen + 1
    end
  end
  lu.assertTrue(seen >= 10)
end

-- Those that take a wrong argument for now, or name it otherwise.
local unchecked = {
  ["asyncwrite.spawn"] = true, ["asyncwrite.timeout"] = true, ["asyncwrite.park"] = true,
  ["asyncwrite.copy_bidirectional"] = true, ["asyncwrite.Mutex:with"] = true, ["asyncwrite.Reader:lines"] = true,
  ["asyncwrite.Writer:write_u128"] = true, ["asyncwrite.Writer:write_u128_le"] = true,
  ["asyncwrite.Writer:write_i128"] = true, ["asyncwrite.Writer:write_i128_le"] = true,
}

-- A value that is of no type but these.
local function wrong_value_for(p)
  if p.name == "..." or p.kind:find("^any") or p.optional and p.kind:find("^boolean") then return nil end
  return coroutine.create(function() end)
end

local function check_report(f, i, p)
  local func, args = real(f)
  local at = f.method and i + 1 or i
  args[at], args.n = wrong_value_for(p), math.max(at, #args)
  local suspended, ok, err = call(func, args, f.name)
  local what = ("%s with a wrong '%s': %s"):format(f.title, p.name, suspended and "it suspended" or tostring(err))
  lu.assertFalse(suspended or ok, what)
  local number, name, op = tostring(err):match("bad argument #(%d+) '([^']*)' to '([^']*)'")
  lu.assertEquals({ tonumber(number), name, op }, { i, p.name, f.name }, what)
end

function M.test_a_wrong_argument_is_reported_by_the_documented_name_and_number()
  run(function()
    for _, f in ipairs(meta.functions) do
      for i, p in ipairs(f.block.params) do
        if wrong_value_for(p) and not unchecked[f.title] then check_report(f, i, p) end
      end
    end
  end)
end

return M
