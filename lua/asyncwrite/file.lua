-- SPDX-License-Identifier: MIT
-- file: opening files, and what only files can do. Also the standard streams, which may be files.

local core = require "asyncwrite.core"
core.library()
local task = require "asyncwrite.task"

local park = task.park
local methods = core.methods
local file_poll, file_poll_open = core.file_poll, core.file_poll_open

local M = { file = {} }

local PERM = tonumber("666", 8) -- less the umask

local modes = {
  r = { read = true },
  w = { write = true, create = true, truncate = true },
  a = { append = true, create = true },
  ["r+"] = { read = true, write = true },
  ["w+"] = { read = true, write = true, create = true, truncate = true },
  ["a+"] = { read = true, append = true, create = true },
}
local known = { read = true, write = true, append = true, truncate = true, create = true, create_new = true,
  max_buf_size = true }

local function check_size(op, number, name, value)
  if type(value) ~= "number" or value < 1 or value > 2 ^ 31 - 1 or value % 1 ~= 0 then
    core.arg_error(op, number, name, "integer from 1 to 2147483647 expected, got " .. tostring(value))
  end
end

local function check_perm(op, number, perm)
  if perm == nil then return PERM end
  if type(perm) == "number" and perm >= 0 and perm <= 4095 and perm % 1 == 0 then return perm end
  core.arg_error(op, number, "perm", "octal 0 to 7777 expected, got " .. tostring(perm))
end

local function check_options(options)
  for key, value in pairs(options) do
    if not known[key] then core.arg_error("open", 2, "mode", "unknown option '" .. tostring(key) .. "'") end
    if key == "max_buf_size" then check_size("open", 2, "mode.max_buf_size", value) end
  end
  local writes = options.write or options.append
  if not (options.read or writes) then core.arg_error("open", 2, "mode", "one of read, write and append must be set") end
  if options.append and options.truncate then core.arg_error("open", 2, "mode", "append and truncate exclude each other") end
  for _, key in ipairs { "truncate", "create", "create_new" } do
    if options[key] and not writes then core.arg_error("open", 2, "mode", key .. " needs write or append") end
  end
  return options
end

local function options_of(mode)
  if mode == nil then return modes.r end
  if type(mode) == "table" then return check_options(mode) end
  if type(mode) ~= "string" then
    core.arg_error("open", 2, "mode", "string or table expected, got " .. type(mode))
  end
  local plain, exclusive = mode:gsub("b", ""), false
  if plain:find("^w%+?x$") then
    plain, exclusive = plain:gsub("x", ""), true
  end
  local options = modes[plain]
  if not options then core.arg_error("open", 2, "mode", "invalid mode '" .. mode .. "'") end
  if not exclusive then return options end
  return { read = options.read, write = true, create_new = true }
end

-- Waits until it is open. What is a pipe, a terminal or a device is polled, and needs no thread.
local function wait_open(file)
  while true do
    local ok, pollable, code = file_poll_open(file)
    if ok and not pollable then return file end
    if ok then
      local stream
      stream, pollable, code = core.pipe_open(file:fd())
      file:close()
      if stream then return stream end
      return nil, pollable, code
    end
    if ok == nil then
      if not file:is_closed() then file:close() end
      return nil, pollable, code
    end
    park("open", file)
  end
end

--- Opens a file. mode: as of io.open ("r", "w", "a", "r+", "w+", "a+"; "wx" and "w+x" for a new file only), or a table
--- of tokio's OpenOptions: read, write, append, truncate, create, create_new; and max_buf_size. perm: of a new file, less
--- the umask (octal 666).
function M.file.open(path, mode, perm)
  if type(path) ~= "string" then core.arg_error("open", 1, "path", "string expected, got " .. type(path)) end
  local options = options_of(mode)
  perm = check_perm("open", 3, perm)
  task.need_task("open")
  local file, message, code = core.file_open(path, options, perm)
  if not file then return nil, message, code end
  if options.max_buf_size then file:set_max_buf_size(options.max_buf_size) end
  file, message, code = wait_open(file)
  if file then return file end
  return nil, message, code
end

--- A file to write to, new or emptied.
function M.file.create(path, perm)
  if type(path) ~= "string" then core.arg_error("create", 1, "path", "string expected, got " .. type(path)) end
  perm = check_perm("create", 2, perm)
  task.need_task("create")
  local file, message, code = M.file.open(path, modes.w, perm)
  if file then return file end
  return nil, message, code
end

--- A file over a descriptor. It is dup'd, the caller keeps its own; the position is shared.
M.file.from_fd = core.file_from_fd

local function wait_metadata(subject)
  local query, message, code = core.metadata(subject)
  if not query then return nil, message, code end
  while true do
    local result
    result, message, code = query:poll()
    if result then return result end
    if result == nil then return nil, message, code end
    park "metadata"
  end
end

--- What the system knows of a file, whose link is followed: { type, size, mode, mtime, dev, ino }.
function M.file.metadata(path)
  if type(path) ~= "string" then core.arg_error("metadata", 1, "path", "string expected, got " .. type(path)) end
  task.need_task("metadata")
  local result, message, code = wait_metadata(path)
  if result then return result end
  return nil, message, code
end

-- ---- Methods ----

local function wait_op(op, file, offset, whence)
  local id = 0
  while true do
    local result, message, code = file_poll(file, op, id, offset, whence)
    if result then return result end
    if result == nil then return nil, message, code end
    id = message
    park(op, file)
  end
end

-- What wrappers hold back comes first; where there is no writer there is nothing.
local function flush_above(file)
  if not file:is_writer() then return true end
  if file:kind() == "file" then return true end
  return methods.flush(file)
end

local function check_integer(op, number, name, value, min)
  if type(value) ~= "number" or value % 1 ~= 0 or value < min or value > 2 ^ 53 then
    core.arg_error(op, number, name, ("integer of at least %g expected, got %s"):format(min, tostring(value)))
  end
end

local whences = { set = true, cur = true, ["end"] = true }

--- Moves the position, as Lua's file:seek: whence "set", "cur" (default) or "end", offset (0). Returns the new position
--- from the start of the file. Wrappers are flushed first; what a buf_reader had read ahead is dropped.
function methods.seek(file, whence, offset)
  core.check_file("seek", file)
  whence, offset = whence == nil and "cur" or whence, offset == nil and 0 or offset
  if not whences[whence] then
    core.arg_error("seek", 1, "whence", "'set', 'cur' or 'end' expected, got " .. tostring(whence))
  end
  check_integer("seek", 2, "offset", offset, -2 ^ 53)
  local ok, message, code = flush_above(file)
  if not ok then return nil, message, code end
  local ahead = file:is_reader() and #file:read_buffer() or 0
  if whence == "cur" then offset = offset - ahead end
  ok, message, code = wait_op("seek", file, offset, whence)
  if not ok then return nil, message, code end
  if ahead > 0 then file:consume(ahead) end
  return ok
end

--- Cuts the file, or extends it with zeros.
function methods.set_len(file, size)
  core.check_file("set_len", file)
  check_integer("set_len", 1, "size", size, 0)
  local ok, message, code = flush_above(file)
  if ok then
    ok, message, code = wait_op("set_len", file, size)
  end
  if ok then return true end
  return nil, message, code
end

for _, op in ipairs { "sync_all", "sync_data" } do
  --- Writes all that was accepted, and waits until it is on the disk (fsync, fdatasync).
  methods[op] = function(file)
    core.check_file(op, file)
    local ok, message, code = flush_above(file)
    if ok then
      ok, message, code = wait_op(op, file)
    end
    if ok then return true end
    return nil, message, code
  end
end

--- As aw.file.metadata of the open file. What was accepted is written first, so that it counts.
function methods.metadata(file)
  core.check_file("metadata", file)
  task.need_task("metadata")
  local ok, message, code = true, nil, nil
  if file:is_writer() then ok, message, code = methods.flush(file) end
  if not ok then return nil, message, code end
  local result
  result, message, code = wait_metadata(file)
  if result then return result end
  return nil, message, code
end

-- ---- Standard streams ----

-- Files by the pool; and terminals and pipes that this user may not open a second time.
local function open_as_file(fd)
  local file, message, code = core.file_from_fd(fd)
  if not file then return nil, message, code end
  if not (file:is_reader() and file:is_writer()) then return file end
  local r, w = core.split(file)
  local keep, drop = r, w
  if fd > 0 then keep, drop = w, r end
  drop:close()
  return keep
end

local function open_standard(fd)
  local stream, message, code = core.stdio_open(fd)
  if not stream and code == "EPERM" then
    stream, message, code = open_as_file(fd)
  end
  if not stream then return nil, message, code end
  return stream
end

--- Standard input, whatever it is.
function M.stdin() return open_standard(0) end

--- Standard output. At a terminal what is written goes out with each end of line.
function M.stdout()
  local stream, message, code = open_standard(1)
  if not stream then return nil, message, code end
  if core.line_writer and core.is_terminal(1) then return core.line_writer(stream) end
  return stream
end

--- Standard error, never buffered.
function M.stderr() return open_standard(2) end

return M
