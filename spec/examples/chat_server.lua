-- SPDX-License-Identifier: MIT
-- A chat: what one client says all others hear. lua chat_server.lua [PORT [QUEUE [drop|skip]]]
--
-- Each client has a queue of QUEUE lines (100) and a task that writes them. A client that does not keep up never holds up
-- the others, and never costs more than its queue: when that is full the client is dropped, or, with "skip", misses lines
-- and is told how many as soon as it has read what it got.

local aw = require "asyncwrite"

local LONGEST, GOODBYE = 512, 0.2 -- bytes of a line, seconds to say goodbye
local PORT, QUEUE, POLICY = tonumber(arg[1] or 0), tonumber(arg[2] or 100), arg[3] or "drop"
local function is_whole(n, min, max) return n and n >= min and n <= max and n % 1 == 0 end

if not (is_whole(PORT, 0, 65535) and is_whole(QUEUE, 1, 2 ^ 31)) or POLICY ~= "drop" and POLICY ~= "skip" or #arg > 3 then
  io.stderr:write("usage: chat_server.lua [PORT [QUEUE [drop|skip]]]\n")
  os.exit(2)
end
local clients = {} -- name -> { queue = lines for it, missed = lines, dropped = told when it is too slow }
local count = 0

local function too_slow(name, client)
  if POLICY == "skip" then
    client.missed = client.missed + 1
    return
  end
  clients[name] = nil
  client.dropped:notify_one()
  print(name .. " is too slow and was dropped")
end

local function say(text, except)
  for name, client in pairs(clients) do
    -- What was missed is told before anything newer.
    if name ~= except and not (client.missed == 0 and client.queue:try_send(text)) then too_slow(name, client) end
  end
  aw.yield() -- a client that says much at once lets the writers run in between
end

-- Writes what is queued; several lines that wait already go out as one write.
local function write_queue(w, client)
  for text in client.queue:values() do
    while text do
      if not w:write_all(text, "\n") then return end
      text = client.queue:try_recv()
      if not text and client.missed > 0 then
        text, client.missed = ("you missed %d lines"):format(client.missed), 0
      end
    end
    if not w:flush() then return end
  end
end

local function read_lines(conn, name)
  while true do
    local line, message = conn:read_line(LONGEST)
    if not line then return message end
    say(("<%s> %s"):format(name, line), name)
  end
end

local function chat(conn)
  count = count + 1
  local name = "guest" .. count
  local client = { queue = aw.channel(QUEUE), missed = 0, dropped = aw.notify() }
  clients[name] = client
  local w = aw.buf_writer(conn, 4096)
  w:write_all("you are ", name, "\n")
  w:flush()
  say(name .. " is here", name)
  aw.first(function() read_lines(w, name) end, function() write_queue(w, client) end,
    function() client.dropped:notified() end)
  if clients[name] then
    clients[name] = nil
    say(name .. " has left")
    aw.timeout(GOODBYE, w.shutdown, w)
  end
  w:close()
end

io.stdout:setvbuf("line")
aw.run(function()
  local listener = assert(aw.tcp.listen("127.0.0.1", PORT))
  print(("listening on 127.0.0.1:%d"):format(select(2, listener:local_addr())))
  aw.spawn(function()
    assert(aw.signal("SIGTERM")):recv()
    listener:close()
    print(count .. " clients in all")
    os.exit(0)
  end)
  assert(listener:serve(chat))
end)
