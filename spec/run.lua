-- SPDX-License-Identifier: MIT
-- Runs the specs: lua spec/run.lua [-v] [-p PATTERN]... [NAME]...
-- NAME selects spec files by a part of their name, -p (LuaUnit's own) selects tests, -v names each test as it runs.
-- The last line is "N passed, N failed", with ", N skipped" if any were. --counts=FILE appends the three numbers to a file,
-- for who sums up runs (spec/support/test.sh); then it is no failure if no test was found.
io.stdout:setvbuf("no")

local folders = { "unit", "conformance", "interop", "examples" }

local found, lu = pcall(require, "luaunit")
if not found then
  io.stderr:write("spec/run.lua: luaunit is not installed for ", _VERSION, " (Debian: lua-unit)\n")
  os.exit(1)
end

local seed = require "support.seed"
math.randomseed(seed)
print("seed: " .. seed)

local names, options, counts = {}, {}, nil
local takes_value = { ["-p"] = true, ["-x"] = true, ["-o"] = true, ["-n"] = true, ["-r"] = true }
for i, a in ipairs(arg) do
  local is_option = a:sub(1, 1) == "-" or takes_value[arg[i - 1]]
  local path = a:match("^%-%-counts=(.+)$")
  if path then counts = path else table.insert(is_option and options or names, a) end
end

local function selected(file)
  for _, name in ipairs(names) do
    if file:find(name, 1, true) then return true end
  end
  return #names == 0
end

local function spec_files()
  local files = {}
  for _, folder in ipairs(folders) do
    local list = assert(io.popen("ls spec/" .. folder .. "/*_spec.lua 2>/dev/null"))
    for file in list:lines() do
      local name = file:match("[^/]+$")
      if name:find("^lua54_") and _VERSION < "Lua 5.4" then
        print("not run: " .. name .. " needs the syntax of Lua 5.4")
      elseif selected(name) then
        files[#files + 1] = file
      end
    end
    list:close()
  end
  return files
end

-- What is wrong with a loaded spec, or nil. Any function but a test or a fixture would silently never run.
local function complaint(spec)
  if type(spec) ~= "table" then return "it returns no table of tests" end
  local count = 0
  for name, f in pairs(spec) do
    if type(f) == "function" then
      if name:find("^test_") then
        count = count + 1
      elseif not name:find("^[sS]et[uU]p") and not name:find("^[tT]ear[dD]own") then
        return "the function '" .. name .. "' is neither test_* nor a fixture"
      end
    end
  end
  if count == 0 then return "it holds no test_* function" end
end

local function load_spec(file)
  local chunk, message = loadfile(file)
  if not chunk then return nil, message end
  local ok, spec = xpcall(chunk, function(e) return debug.traceback(tostring(e), 2) end)
  if not ok then return nil, spec end
  message = complaint(spec)
  return not message and spec, message
end

local broken, classes = {}, {}
for _, file in ipairs(spec_files()) do
  local spec, message = load_spec(file)
  if spec then
    local class = file:match("([^/]+)%.lua$")
    if _G[class] ~= nil then class = file:match("([^/]+)/[^/]+$") .. "_" .. class end
    _G[class] = spec
    classes[#classes + 1] = class
  else
    broken[#broken + 1] = file .. ": " .. message
  end
end

local passed, failed, skipped = 0, #broken, 0
if #classes > 0 then
  for _, class in ipairs(classes) do options[#options + 1] = class end
  local runner = lu.LuaUnit.new() -- what LuaUnit.run does, keeping the runner for its counts
  runner:runSuite((table.unpack or unpack)(options))
  local result = runner.result
  passed, failed, skipped = result.successCount, failed + result.notSuccessCount, result.skippedCount
end

for _, message in ipairs(broken) do print("\nspec file not run: " .. message) end
if counts then
  local file = assert(io.open(counts, "a"))
  file:write(("%d %d %d\n"):format(passed, failed, skipped))
  file:close()
elseif passed + failed + skipped == 0 then
  print("no test was found")
  failed = 1
end
if failed > 0 then print("to replay: SPEC_SEED=" .. seed) end
print(("%d passed, %d failed%s"):format(passed, failed, skipped > 0 and (", %d skipped"):format(skipped) or ""))
os.exit(failed == 0 and 0 or 1, true)
