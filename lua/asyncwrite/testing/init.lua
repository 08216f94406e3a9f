-- SPDX-License-Identifier: MIT
-- asyncwrite.testing: for testing protocol code without a network, and writers against the contract. Nothing of it is
-- loaded by asyncwrite itself. See "Testing your own code" in the README.

local core = require "asyncwrite.core"
core.library()
require "asyncwrite" -- the methods of streams
local clock = require "asyncwrite.testing.clock"
local expect = require "asyncwrite.testing.expect"
local mock = require "asyncwrite.testing.mock"
local record = require "asyncwrite.testing.record"
local files = require "asyncwrite.testing.script_file"
local task_harness = require "asyncwrite.testing.harness"
local wakers = require "asyncwrite.testing.wakers"

---@class asyncwrite.testing
---@field conformance any every clause of the contract against a writer or reader; described in conformance
---@field chaos any a stream that makes trouble by dice; described in chaos
---@field schedule any what such streams draw from, by seed or by text; described in chaos
---@field interrupt any an operation that is cancelled where the schedule says so; described in chaos
---@field explore any a test over many seeds; described in chaos
---@field shrink any the smallest trouble with which something still fails; described in chaos
local M = {}

-- ---- mock ----

--- A script: actions in order, and fields. Each action is a list.
---
--- What the code under test gets to read, once everything before it is done:
---   {"read", bytes}                  in one read, or in several if less is asked for
---   {"read_error", code [, message]} one read fails
---   {"eof"}                          the end of file, from here on. The end of the script is one by itself.
--- What it has to do. Reads that nobody has read yet hold up none of these:
---   {"write", bytes}                 these bytes, in writes of any size; one write may go on into the next {"write"}
---   {"write", n}                     n bytes of any kind; math.huge: as many as come
---   {"flush" [, code [, message]]}   with a code it fails. A flush with nothing to flush is always right; while the
---   {"shutdown" [, code [, message]]}  script has no "flush" (no "shutdown"), so is each one.
---   {"close"}                        the stream is closed, by hand or by the collector
--- How the next write fares:
---   {"accept", n}                    takes n bytes at most: a short write
---   {"zero"}                         takes none, and says so (P4)
---   {"write_error", code [, message]} fails
--- For both:
---   {"pending" [, n [, direction]]}  the next n polls (1) are NotReady and woken at once; only "read"s or "write"s
---   {"wait", seconds}                nothing happens for so long, from when it is met
---@class asyncwrite.testing.Script
---@field name? string for messages
---@field open? boolean the script may grow: its end makes callers wait, and finish() ends it. Default false
---@field vectored? boolean it takes vectors. Default false
---@field [integer] any[] the actions

--- The other side of a mock. For each action there is a method that appends one, and returns the handle:
--- `handle:read("hello"):eof()`.
---@class asyncwrite.testing.Mock
---@field add fun(self, ...: any[]): asyncwrite.testing.Mock appends actions
---@field finish fun(self): asyncwrite.testing.Mock no more actions will come
---@field done fun(self): true raises what went wrong, or what is left of the script; nobody asks at the end of the run then
---@field abandon fun(self): asyncwrite.testing.Mock what is left need not happen
---@field wake fun(self): boolean wakes whoever waits, for nothing (W5); was there anybody?
---@field contents fun(self): string everything that was written
---@field position fun(self): integer, integer the number of the first action that is not done; how many there are
---@field read fun(self, bytes: string): asyncwrite.testing.Mock
---@field read_error fun(self, code: string, message?: string): asyncwrite.testing.Mock
---@field eof fun(self): asyncwrite.testing.Mock
---@field write fun(self, bytes: string|integer): asyncwrite.testing.Mock
---@field accept fun(self, n: integer): asyncwrite.testing.Mock
---@field zero fun(self): asyncwrite.testing.Mock
---@field write_error fun(self, code: string, message?: string): asyncwrite.testing.Mock
---@field flush fun(self, code?: string, message?: string): asyncwrite.testing.Mock
---@field shutdown fun(self, code?: string, message?: string): asyncwrite.testing.Mock
---@field close fun(self): asyncwrite.testing.Mock
---@field pending fun(self, n?: integer, direction?: "read"|"write"): asyncwrite.testing.Mock
---@field wait fun(self, seconds: number): asyncwrite.testing.Mock

--- A stream that follows a script. Whatever the code under test does otherwise raises an error that shows what was expected
--- and what came, as text and as hex, and where in the script; so does each later poll. The end of the run raises it too, if
--- it was swallowed, and what is left of the script; so do done() and, by a warning, a close outside of tasks.
---@param script? asyncwrite.testing.Script without one the mock is open and empty
---@return asyncwrite.Duplex stream
---@return asyncwrite.testing.Mock handle
function M.mock(script) return mock(script, "mock") end

-- ---- record ----

---@class asyncwrite.testing.Tape
---@field script fun(self): asyncwrite.testing.Script what happened until now
---@field source fun(self): string the same as the text of a script file
---@field save fun(self, path: string): true?, string? writes the script file; nil and a message on failure

--- A stream that does what another does, and writes down what happened: reads, writes with what was accepted, NotReady,
--- errors, flush, shutdown and close. The other's variable stays as it is; leave it alone but for such as local_addr.
---@param stream asyncwrite.Stream closed with the result
---@param path? string the script file, written when the result is closed
---@return asyncwrite.Duplex stream
---@return asyncwrite.testing.Tape tape
function M.record(stream, path) return record(stream, path) end

--- A mock of what was recorded. A file is read as data, never run; what is wrong with it is raised.
---@param script string|asyncwrite.testing.Script a path, or what Tape:script gave
---@return asyncwrite.Duplex stream
---@return asyncwrite.testing.Mock handle
function M.replay(script)
  if type(script) ~= "string" then return mock(script or false, "replay") end
  local list, message = files.read(script)
  if not list then core.raise("replay", message) end
  return mock(list, "replay")
end

-- ---- Time ----

--- asyncwrite.run in virtual time: aw.now() starts at 0, and when every task waits and only timers could end that, the
--- clock goes to the first of them at once. It counts for sleep, timeout, set_deadline and whatever else takes seconds.
--- While a descriptor or a look-up is waited for, waiting takes its real time. Standalone only: other hosts have a loop of
--- their own, and it raises.
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return any ... what f returns
function M.run(f, ...) return clock.run(f, ...) end

--- Stops the clock of a run that is under way, until resume or its end.
function M.pause() clock.pause() end

--- Lets the clock run at the real pace, from where it stands.
function M.resume() clock.resume() end

---@return boolean yes
function M.is_paused() return clock.is_paused() end

--- Moves the paused clock on. What is due in between happens in order and at its time; tasks go on until all of them wait.
--- Outside of tasks, timers only wake.
---@async
---@param seconds number 0 to 1e9
function M.advance(seconds) clock.advance(seconds) end

-- ---- Polls, wakers, tasks by hand ----

---@class asyncwrite.testing.Waker
---@field waker asyncwrite.Waker for asyncwrite.with_waker
---@field with fun(self, f: fun(...: any): ..., ...: any): ... f(...), whose polls register it
---@field poll fun(self, stream: asyncwrite.Stream, method: string, ...: any): ... one poll: c:poll(w, "poll_write", "x")
---@field count fun(self): integer wakes since the last reset; those that come together may be one (W6)
---@field is_woken fun(self): boolean
---@field reset fun(self): integer counts from 0 again; what it was
---@field wake fun(self)
---@field will_wake fun(self, other: asyncwrite.testing.Waker|asyncwrite.Waker): boolean
---@field check fun(self) raises if it is a panic_waker that was woken

--- A waker that counts.
---@return asyncwrite.testing.Waker waker
function M.waker() return wakers.waker() end

--- A waker that nobody may wake. Who does is named by check, by the next poll with it, and at the end of the run.
---@return asyncwrite.testing.Waker waker
function M.panic_waker() return wakers.panic_waker() end

--- Results of a poll that must be NotReady. A failure fails the test of LuaUnit or busted; elsewhere it is an error.
---@param ... any what a poll returned
---@return boolean pending false
function M.assert_pending(...) return expect.assert_pending(...) end

--- Results of a poll that must be Ready; the end of file is.
---@param ... any what a poll returned
---@return any ... the same
function M.assert_ready(...) return expect.assert_ready(...) end

--- Results of a poll or an operation that must be an error.
---@param code string|nil this one; nil: any
---@param ... any what it returned
---@return string message
---@return string code
---@return any ... what follows, such as the bytes accepted
function M.assert_error(code, ...) return expect.assert_error(code, ...) end

---@class asyncwrite.testing.Harness
---@field poll fun(self): ... lets it go on until it waits (false) or ends (its results; true if it has none). Raises its error
---@field is_woken fun(self): boolean since the last poll
---@field is_done fun(self): boolean
---@field waits fun(self): string?, any, integer? the operation it waits in, on what, and the bytes accepted until then
---@field drop fun(self) as a cancel

--- An operation that only poll() lets go on, as tokio_test::task::spawn: in a run, at whose end it is dropped, or outside.
---@param f async fun(...: any): ...
---@param ... any arguments of f
---@return asyncwrite.testing.Harness task
function M.task_harness(f, ...) return task_harness(f, ...) end

-- ---- What is loaded when it is first used ----

local LATER = { conformance = "conformance", chaos = "chaos", shrink = "chaos", schedule = "chaos", interrupt = "chaos",
  explore = "chaos" }

return setmetatable(M, {
  __index = function(_, key)
    if not LATER[key] then return nil end
    local module = require("asyncwrite.testing." .. LATER[key])
    local value = type(module) == "table" and module[key] or module
    M[key] = value
    return value
  end,
})
