-- SPDX-License-Identifier: MIT
-- Every method of every kind of object, called on something else: an error that says so, with the method's name.

local lu = require "luaunit"
local aw = require "asyncwrite"
local check = require "support.check"

local T = {}

local function objects()
  local mutex = aw.mutex()
  return { mutex = mutex, guard = mutex:lock(), notify = aw.notify(), channel = aw.channel(1), task = aw.spawn(function() end),
    child = assert(aw.process.spawn { "true" }), signal = assert(aw.signal "SIGUSR1"), waker = aw.waker(function() end),
    budget = aw.budget(5), stream = aw.sink(), listener = assert(aw.tcp.listen("127.0.0.1", 0)) }
end

-- The methods that users call.
local function methods_of(object)
  local meta = debug.getmetatable(object)
  local list = {}
  for name, f in pairs(type(meta.__index) == "table" and meta.__index or meta) do
    if type(f) == "function" and not name:find("^__") then list[#list + 1] = { name, f } end
  end
  return list
end

-- Arguments that are right enough for self to be the first thing that is wrong.
local function arguments_of(name)
  if name == "serve" or name == "with" then return function() end end
  if name == "writef" then return "x" end
  if name:find("128$") or name:find("128_le$") then return ("x"):rep(16) end
  return 1
end

T.test_a_method_on_a_wrong_self_says_so = check.in_task(function()
  local all, count, faults = objects(), 0, {}
  for kind, object in pairs(all) do
    local methods = methods_of(object)
    lu.assertTrue(#methods > 0, kind)
    for _, method in ipairs(methods) do
      local name, f = method[1], method[2]
      for _, wrong in ipairs { 1, "x", {}, setmetatable({}, {}), print, all.signal, io.stdout, all } do
        local ok, err = pcall(f, wrong ~= object and wrong or all.notify, arguments_of(name))
        local text = tostring(err):match("^[^\n]*")
        count = count + 1
        if ok or not text:find("self", 1, true) or not text:find("'" .. name .. "'", 1, true) then
          faults[#faults + 1] = ("%s:%s on a %s: %s"):format(kind, name, type(wrong), ok and "no error" or text)
        end
      end
    end
  end
  for _, thing in ipairs { all.child, all.signal, all.listener } do thing:close() end
  lu.assertEquals(faults, {})
  lu.assertTrue(count > 500)
end)

return T
