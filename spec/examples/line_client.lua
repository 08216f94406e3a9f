-- SPDX-License-Identifier: MIT
-- A client of a line protocol, memcached's text protocol, over any stream: a socket here, a mock in its spec.
-- lua line_client.lua HOST PORT get KEY, or set KEY VALUE; or require it:
--
--   local client = assert(require("line_client").connect("127.0.0.1", 11211))
--   client:set("key", "value")          true, or nil and why
--   client:get("key")                   the value; nil when there is none; nil and why

local aw = require "asyncwrite"

local Client = {}
Client.__index = Client

local M = { LARGEST = 1024 * 1024, PATIENCE = 10 } -- bytes of a value; seconds for an answer, and to connect

--- stream is the client's from here on.
function M.new(stream)
  return setmetatable({ stream = aw.deadline(aw.buf_writer(stream), nil) }, Client)
end

--- A client with a connection of its own; nil and why.
function M.connect(host, port)
  local stream, message = aw.timeout(M.PATIENCE, aw.tcp.connect, host, port)
  if not stream then return nil, message end
  return M.new(stream)
end

-- What went wrong on the way makes every later answer doubtful: the connection goes.
local function broken(self, message)
  self.stream:close()
  return nil, message
end

local function is_key(key) return type(key) == "string" and #key <= 250 and key:find("^[^%c ]+$") end

local function check_key(key)
  if not is_key(key) then error("bad key: " .. tostring(key), 3) end
end

-- Sends a request; the first line of the answer.
local function ask(self, ...)
  self.stream:set_deadline(M.PATIENCE)
  local ok, message = self.stream:write_all(...)
  if ok then ok, message = self.stream:flush() end
  if not ok then return broken(self, message) end
  local line, why = self.stream:read_line(1024)
  if not line then return broken(self, why or "the server hung up") end
  local first = line:match("^%S*")
  if first == "ERROR" or first == "CLIENT_ERROR" or first == "SERVER_ERROR" then return nil, line end
  return line
end

function Client:set(key, value)
  check_key(key)
  local line, message = ask(self, ("set %s 0 0 %d\r\n"):format(key, #value), value, "\r\n")
  if not line then return nil, message end
  if line ~= "STORED" then return nil, line end
  return true
end

function Client:get(key)
  check_key(key)
  local line, message = ask(self, "get ", key, "\r\n")
  if not line then return nil, message end
  if line == "END" then return nil end
  local size = tonumber(line:match("^VALUE %S+ %d+ (%d+)$"))
  if not size or size > M.LARGEST then return broken(self, "not understood: " .. line) end
  local value, why = self.stream:read_exact(size + #"\r\nEND\r\n")
  if not value then return broken(self, why) end
  if value:sub(size + 1) ~= "\r\nEND\r\n" then return broken(self, "the value has another length than was said") end
  return value:sub(1, size)
end

function Client:close() self.stream:close() end

-- The exit status: 0, or 1 where there is no such key or something went wrong.
local function main(host, port, command, key, value)
  local client, message = M.connect(host, port)
  local result
  if client then
    result, message = client[command](client, key, value)
    client:close()
  end
  if message then io.stderr:write("line_client: ", message, "\n") end
  if not result then return 1 end
  if command == "get" then io.write(result, "\n") end
  return 0
end

if ... ~= "line_client" then
  local count, port = { get = 4, set = 5 }, tonumber(arg[2])
  if not port or port < 1 or port > 65535 or port % 1 ~= 0 or #arg ~= count[arg[3]] or not is_key(arg[4]) then
    io.stderr:write("usage: line_client.lua HOST PORT get KEY | set KEY VALUE\n")
    os.exit(2)
  end
  os.exit(aw.run(main, arg[1], port, arg[3], arg[4], arg[5]), true)
end

return M
