-- SPDX-License-Identifier: MIT
-- Neovim: `:luafile nvim_client.lua`, then `:SendBuffer HOST PORT` sends the buffer and appends what comes back, while
-- the editor goes on.

local luv = require "asyncwrite.host.luv"
local aw = require "asyncwrite"

local function exchange(host, port, lines)
  local conn, message = aw.tcp.connect(host, port)
  if not conn then return nil, message end
  local w = aw.buf_writer(conn, 8192)
  local problem
  -- Both at once: a peer that answers while it reads would otherwise wait for us, and we for it.
  local _, reply = aw.all(function()
    local ok, why = w:write_all(table.concat(lines, "\n"), "\n")
    if ok then ok, why = w:shutdown() end
    problem = not ok and why or problem
  end, function()
    local text, why = w:read_to_end()
    problem = not text and why or problem
    return text
  end)
  w:close()
  if problem then return nil, problem end
  return reply
end

local function send_buffer(command)
  local host, port = command.fargs[1], command.fargs[2]
  local buffer = vim.api.nvim_get_current_buf()
  local lines = vim.api.nvim_buf_get_lines(buffer, 0, -1, true)
  aw.spawn("SendBuffer", function()
    local reply, message = exchange(host, port, lines)
    -- A task runs where vim.api is out of reach; main calls on the main loop.
    luv.main(function()
      if not reply then return vim.notify(message, vim.log.levels.ERROR) end
      vim.api.nvim_buf_set_lines(buffer, -1, -1, true, vim.split(reply, "\n", { trimempty = true }))
    end)
  end)
end

vim.api.nvim_create_user_command("SendBuffer", send_buffer, { nargs = "+" })
