-- SPDX-License-Identifier: MIT
-- One line on a terminal: a bar where the size is known, bytes, rate, time left.

local aw = require "asyncwrite"
local shell = require "asyncwrite.awcat.shell"

local M = {}
local Bar = {}
Bar.__index = Bar

local UNITS = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" }
local SMOOTHING = 0.3 -- weight of the newest reading in the rate that is shown
local LONGEST = 40

--- 1536 -> "1.5 KiB"
function M.bytes(n)
  local unit = 1
  while n >= 1023.95 and unit < #UNITS do
    n = n / 1024
    unit = unit + 1
  end
  return (unit == 1 and "%.0f %s" or "%.1f %s"):format(n, UNITS[unit])
end

--- 75 -> "1:15"
function M.duration(seconds)
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then
    return ("%d:%02d:%02d"):format(math.floor(s / 3600), math.floor(s / 60) % 60, s % 60)
  end
  return ("%d:%02d"):format(math.floor(s / 60), s % 60)
end

--- The columns of the terminal that standard error is; nil when it is none.
function M.terminal()
  if not shell.succeeds("test -t 2") then return nil end
  local columns = tonumber((shell.line("stty size <&2 2>/dev/null") or ""):match("%d+%s+(%d+)"))
  return columns and columns > 0 and columns or 80
end

--- The text of the line. seconds: what is left, or what it took when ended.
function M.text(columns, done, total, rate, seconds, ended)
  local time = seconds and M.duration(seconds) or "-:--"
  local tail = ("%10s  %12s  %s"):format(M.bytes(done), M.bytes(rate) .. "/s", time)
  if not total then return tail:sub(1, columns - 1) end
  local share = total > 0 and math.min(done / total, 1) or 1
  tail = ("%3d%%%s%s"):format(math.floor(share * 100), tail, ended and "     " or " left")
  local length = math.min(columns - #tail - 4, LONGEST)
  if length < 5 then return tail:sub(1, columns - 1) end
  local filled = math.floor(share * length)
  local bar = ("="):rep(filled) .. (filled < length and ">" or "")
  return ("[%s%s] %s"):format(bar, (" "):rep(length - #bar), tail)
end

--- A bar for total bytes (nil: nobody knows) on a terminal of that many columns.
function M.new(columns, total)
  local now = aw.now()
  return setmetatable({ columns = columns, total = total, start = now, last = now, done = 0 }, Bar)
end

local function show(self, ...) io.stderr:write("\r", M.text(self.columns, ...), "\27[K") end

--- Shows that done bytes are through.
function Bar:draw(done)
  local now = aw.now()
  local rate = (done - self.done) / math.max(now - self.last, 0.001)
  self.rate = self.rate and self.rate + SMOOTHING * (rate - self.rate) or rate
  self.last, self.done = now, done
  local left = self.total and self.rate > 0 and math.max(self.total - done, 0) / self.rate
  if not self.total then left = now - self.start end
  show(self, done, self.total, self.rate, left)
end

--- The last line: the average rate and the time it took.
function Bar:finish(done)
  local took = aw.now() - self.start
  show(self, done, self.total, done / math.max(took, 0.001), took, true)
  io.stderr:write("\n")
end

return M
