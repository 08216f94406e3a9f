-- SPDX-License-Identifier: MIT
-- SHA-256 of bytes as they pass, by the system's tool on the other end of a pipe.

local shell = require "asyncwrite.awcat.shell"

local M = {}
local Digest = {}
Digest.__index = Digest

local TOOLS = { "sha256sum", "shasum -a 256" }

--- The command that computes digests here; nil, message.
function M.tool()
  for _, tool in ipairs(TOOLS) do
    if shell.succeeds("command -v " .. tool:match("%S+") .. " >/dev/null 2>&1") then return tool end
  end
  return nil, "there is no sha256sum here: install it (Debian: coreutils) or leave --sha256 out"
end

--- A digest in the making. It ends with finish or discard.
function M.new(tool)
  local path = os.tmpname()
  -- The cat keeps the pipe open where the tool dies, because SIGPIPE would end this process.
  local pipe, message = io.popen(("%s >%s || cat >/dev/null"):format(tool, shell.quote(path)), "w")
  if not pipe then
    os.remove(path)
    return nil, message
  end
  pipe:setvbuf("no")
  return setmetatable({ pipe = pipe, path = path }, Digest)
end

function Digest:update(s) self.pipe:write(s) end

--- The digest in hexadecimal; nil, message.
function Digest:finish()
  self.pipe:close()
  local file = io.open(self.path, "r")
  local hex = file and (file:read("*l") or ""):match("^%x+")
  if file then file:close() end
  os.remove(self.path)
  self.path = nil
  if not hex or #hex ~= 64 then return nil, "the SHA-256 tool failed" end
  return hex
end

function Digest:discard()
  if self.path then self:finish() end
end

return M
