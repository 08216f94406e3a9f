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

--- A digest in the making. It ends with finish or discard. nil, message.
function M.new(tool)
  local path = os.tmpname()
  local result, message = io.open(path, "r")
  if not result then return nil, message end
  -- Only descriptors know the result, so that nothing is left where this process is killed. The cat keeps the pipe open
  -- where the tool dies, because SIGPIPE would end this process.
  local quoted = shell.quote(path)
  local pipe
  pipe, message = io.popen(("exec >%s; rm -f %s; %s || cat >/dev/null"):format(quoted, quoted, tool), "w")
  if not pipe then
    result:close()
    os.remove(path)
    return nil, message
  end
  pipe:setvbuf("no")
  return setmetatable({ pipe = pipe, result = result }, Digest)
end

function Digest:update(s) self.pipe:write(s) end

--- The digest in hexadecimal; nil, message.
function Digest:finish()
  self.pipe:close()
  local hex = (self.result:read("*l") or ""):match("^%x+")
  self.result:close()
  self.pipe, self.result = nil, nil
  if not hex or #hex ~= 64 then return nil, "the SHA-256 tool failed" end
  return hex
end

function Digest:discard()
  if self.pipe then self:finish() end
end

return M
