-- SPDX-License-Identifier: MIT
-- A client of a line protocol, memcached's text protocol, over any stream: a socket here, a mock in its spec.
--
--   local client = require("line_client").new(assert(aw.tcp.connect("127.0.0.1", 11211)))
--   client:set("key", "value")          true, or nil and why
--   client:get("key")                   the value; nil when there is none; nil and why

local aw = require "asyncwrite"

local Client = {}
Client.__index = Client

local M = { LARGEST = 1024 * 1024, PATIENCE = 10 } -- bytes of a value; seconds for an answer

--- stream is the client's from here on.
function M.new(stream)
  return setmetatable({ stream = aw.deadline(aw.buf_writer(stream), nil) }, Client)
end

-- What went wrong on the way makes every later answer doubtful: the connection goes.
local function broken(self, message)
  self.stream:close()
  return nil, message
end

local function check_key(key)
  if type(key) ~= "string" or #key > 250 or not key:find("^[^%c ]+$") then error("bad key: " .. tostring(key), 3) end
end

-- Sends a request; the first line of the answer.
local function ask(self, ...)
  self.stream:set_deadline(M.PATIENCE)
  local ok, message = self.stream:write_all(...)
  if ok then ok, message = self.stream:flush() end
  if not ok then return broken(self, message) end
  local line, why = self.stream:read_line(1024)
  if not line then return broken(self, why or "the server hung up") end
  if line:find("ERROR", 1, true) then return nil, line end
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

return M
