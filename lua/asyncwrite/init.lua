-- SPDX-License-Identifier: MIT
-- asyncwrite: AsyncWrite for Lua. This file gathers what the others define; see core.d.lua for every signature.

local core = require "asyncwrite.core"
local executor = require "asyncwrite.executor"
local task = require "asyncwrite.task"
local sync = require "asyncwrite.sync"
local io = require "asyncwrite.io"
local net = require "asyncwrite.net"
local bar = require "asyncwrite.bar"
local file = require "asyncwrite.file"
local process = require "asyncwrite.process"
local trace = require "asyncwrite.trace"
require "asyncwrite.host.standalone" -- loaded now, as later there may be no descriptor left to open it

local M = {
  _VERSION = "0.1.0",
  CANCELLED = task.CANCELLED,

  -- tasks
  run = task.run, spawn = task.spawn, sleep = task.sleep, yield = task.yield,
  timeout = task.timeout, first = task.first, all = task.all, park = task.park,
  mutex = sync.mutex, notify = sync.notify, channel = sync.channel,
  waker = core.waker, with_waker = core.with_waker, current_waker = core.current_waker,
  now = core.now, stuck = executor.stuck,

  -- writers and readers
  sink = core.sink, empty = core.empty, memory = core.memory, cursor = core.cursor, duplex = core.duplex, simplex = core.simplex,
  buf_writer = core.buf_writer, line_writer = core.line_writer, buf_reader = core.buf_reader,
  throttle = core.throttle, throttle_reader = core.throttle_reader, deadline = core.deadline,
  budget = core.budget, budgeted = core.budgeted, global_budget = core.global_budget,
  progress = core.progress, progress_bar = bar.new,
  tee = core.tee, inspect = core.inspect, inspect_reader = core.inspect_reader, limit = core.limit, take = core.take,
  checksum = core.checksum, checksum_reader = core.checksum_reader,
  join = core.join, split = core.split, unsplit = core.unsplit, custom = core.custom,
  tcp = net.tcp, unix = net.unix, pipe = net.pipe,
  file = file.file, stdin = file.stdin, stdout = file.stdout, stderr = file.stderr,
  process = process.process, signal = process.signal,

  copy = io.copy, copy_bidirectional = io.copy_bidirectional,

  trace = { text = trace.text, chrome = trace.chrome },
}

--- Is value a writer, reader or listener of this library?
M.is_stream = core.is_box

return M
