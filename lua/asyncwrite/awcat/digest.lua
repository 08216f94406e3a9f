-- SPDX-License-Identifier: MIT
-- SHA-256 of bytes as they pass, by the system's tool: an end of a transfer, as those of ends.lua.

local aw = require "asyncwrite"

local M = {}
local Digest = {}
Digest.__index = Digest

local TOOLS = { { "sha256sum" }, { "shasum", "-a", "256" } }

--- A digest in the making: what is written to its stream counts. nil, message, code.
function M.new()
  for _, argv in ipairs(TOOLS) do
    local child, message, code = aw.process.spawn { argv[1], argv[2], argv[3],
      stdin = "pipe", stdout = "pipe", kill_on_drop = true }
    if child then return setmetatable({ address = { text = argv[1] }, child = child, stream = child.stdin }, Digest) end
    if code ~= "ENOENT" then return nil, argv[1] .. ": " .. message, code end
  end
  return nil, "there is no sha256sum here: install it (Debian: coreutils) or leave --sha256 out", "ENOENT"
end

--- After the end of what counts. Then hex is the digest in hexadecimal. nil, message, code.
function Digest:ended()
  local text, message, code = self.child.stdout:read_to_end()
  if not text then return nil, message, code end
  self.hex = text:match("^%x+")
  if self.child:wait() ~= 0 or not self.hex or #self.hex ~= 64 then return nil, "it failed", "ECHILD" end
  return true
end

function Digest:close() self.child:close() end

return M
