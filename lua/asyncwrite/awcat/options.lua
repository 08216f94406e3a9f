-- SPDX-License-Identifier: MIT
-- The command line of awcat: its options, its two addresses, its help.

local M = {}

M.HELP = [[
usage: awcat [options] SOURCE DEST

Copies SOURCE to DEST. Each of them is one of
  -                       standard input, or standard output
  PATH                    a file; ./PATH when it looks like something else
  tcp://HOST:PORT         a connection to there; an IPv6 address goes in brackets
  tcp-listen://HOST:PORT  one connection from a client; port 0 lets the system choose
  unix:PATH               a connection to a Unix socket
  unix-listen:PATH        one connection from a client; the socket is removed again
  exec:COMMAND            what the shell's COMMAND prints, or its standard input; it must end with status 0
Where awcat listens it says so on standard error, once clients can connect.

Between two sockets bytes go both ways, and the end of one direction is passed on without ending the other.
To one socket, awcat sends the end of file and waits for the peer to close; what the peer sends is dropped.

options:
  --rate N       at most N bytes per second in each direction
  --buffer SIZE  hold up to SIZE bytes in memory in each direction (64k)
  --tee PLACE    write what goes from SOURCE to DEST there too: a PATH, - or exec:COMMAND; may be repeated
  --progress     a progress bar on standard error, when that is a terminal
  --stats        print bytes, time, rate and how long awcat waited to write on standard error
  --sha256       print the SHA-256 of what was transferred on standard error
  --help         print this
  --version      print the version
N and SIZE may end in k, M or G (1024, 1024^2, 1024^3).

exit status:
  0    everything was transferred
  1    the transfer failed on the way; the message tells how many bytes had been passed on
  2    the command line is wrong
  3    SOURCE or DEST could not be opened, or a tool is missing: nothing was transferred
  130  interrupted by SIGINT, 143 by SIGTERM: what was accepted still went out, if DEST took it within a second
]]

local FACTORS = { [""] = 1, k = 1024, K = 1024, m = 1024 ^ 2, M = 1024 ^ 2, g = 1024 ^ 3, G = 1024 ^ 3 }
local LARGEST_RATE, LARGEST_BUFFER = 1e15, 2 ^ 30 -- the rate: what a throttle takes

--- "64k" -> 65536; nil for what is no whole number of bytes from 1 to largest.
local function size_of(text, largest)
  local digits, unit = text:match("^(%d+%.?%d*)([kKmMgG]?)$")
  if not digits then return nil end
  local n = math.floor(tonumber(digits) * FACTORS[unit])
  return n >= 1 and n <= largest and n or nil
end

local MOST_TEES = 253 -- with DEST and a digest as many as one tee writes to

local VALUES = { ["--rate"] = LARGEST_RATE, ["--buffer"] = LARGEST_BUFFER }
local FLAGS = { ["--progress"] = "progress", ["--sha256"] = "sha256", ["--stats"] = "stats", ["--help"] = "help", ["-h"] = "help",
  ["--version"] = "version" }

local function tcp_address(kind, rest)
  local host, port = rest:match("^%[([^%]]*)%]:(.*)$")
  if not host then
    host, port = rest:match("^(.*):([^:]*)$")
    if host and host:find(":", 1, true) then return nil, "put the IPv6 address in brackets" end
  end
  if not host then return nil, "it needs a port, as in " .. kind .. "://HOST:PORT" end
  if host == "" then return nil, "it needs a host (0.0.0.0 or [::] listens on every address)" end
  local number = port:find("^%d+$") and tonumber(port)
  if not number or number > 65535 then return nil, "the port must be a number from 0 to 65535" end
  if number == 0 and kind == "tcp" then return nil, "port 0 is only for listening" end
  return { kind = kind, host = host, port = number, socket = true }
end

local DESCRIPTORS = { ["/dev/stdin"] = 0, ["/dev/stdout"] = 1, ["/dev/stderr"] = 2 }

local function parse_address(text, standard)
  if text == "-" then return { kind = "descriptor", fd = standard } end
  local scheme, rest = text:match("^([%a][%w+.-]*)://(.*)$")
  if scheme == "tcp" or scheme == "tcp-listen" then return tcp_address(scheme, rest) end
  local kind, path = text:match("^(unix):(.*)$")
  if not kind then kind, path = text:match("^(unix%-listen):(.*)$") end
  if kind then
    if path == "" then return nil, "it needs a path, as in " .. kind .. ":/run/my.sock" end
    return { kind = kind, path = path, socket = true }
  end
  local command = text:match("^exec:(.*)$")
  if command then
    if not command:find("%S") then return nil, "it needs a command, as in exec:'gzip -9'" end
    return { kind = "exec", command = command }
  end
  if text:find("^tcp:") or text:find("^tcp%-listen:") then return nil, "write tcp://HOST:PORT" end
  if scheme then return nil, "there is no '" .. scheme .. "://' here (a file of that name is ./" .. text .. ")" end
  if text == "" then return nil, "an empty name" end
  local fd = DESCRIPTORS[text] or tonumber(text:match("^/dev/fd/(%d+)$"))
  if fd and fd < 2 ^ 31 then return { kind = "descriptor", fd = fd } end
  return { kind = "file", path = text }
end

--- text as an address: { kind, text, and socket, host, port, path, command or fd }; nil, message. standard: what "-" is here.
function M.address(text, standard)
  local address, problem = parse_address(text, standard)
  if not address then return nil, ("%s: %s"):format(text == "" and "''" or text, problem) end
  address.text = text
  return address
end

-- One more place for the bytes; i, or nil, message.
local function tee(options, value, i)
  local address, problem = M.address(value, 1)
  if address and address.socket then address, problem = nil, value .. ": it may be a file, - or exec:COMMAND" end
  if address and #options.tee == MOST_TEES then
    address, problem = nil, ("%s: there are %d already"):format(value, MOST_TEES)
  end
  if not address then return nil, "--tee " .. problem end
  options.tee[#options.tee + 1] = address
  return i
end

-- Puts the option at argv[i] into options; the index of the last argument it used, or nil, message.
local function option(options, argv, i)
  local name, value = argv[i]:match("^(%-%-[^=]+)=(.*)$")
  name = name or argv[i]
  if FLAGS[name] then
    if value then return nil, name .. " takes no value" end
    options[FLAGS[name]] = true
    return i
  end
  local largest = VALUES[name]
  if not largest and name ~= "--tee" then return nil, "unknown option " .. name end
  if not value then
    i = i + 1
    value = argv[i]
    if not value then return nil, name .. " needs a value" end
  end
  if name == "--tee" then return tee(options, value, i) end
  local n = size_of(value, largest)
  if not n then return nil, ("%s %s: a number of bytes is needed, such as 500k or 2M"):format(name, value) end
  options[name:sub(3)] = n
  return i
end

--- The command line as a table: source, dest (addresses), tee (a list of them), rate, buffer, progress, sha256, stats, help,
--- version; nil, message.
function M.parse(argv)
  local options, names = { buffer = 64 * 1024, tee = {} }, {}
  local i, only_names = 1, false
  while argv[i] do
    local word = argv[i]
    if only_names or word == "-" or word:sub(1, 1) ~= "-" then
      names[#names + 1] = word
    elseif word == "--" then
      only_names = true
    else
      local last, problem = option(options, argv, i)
      if not last then return nil, problem end
      i = last
    end
    i = i + 1
  end
  if options.help or options.version then return options end
  if #names < 2 then return nil, "SOURCE and DEST are needed" end
  if #names > 2 then return nil, ("%s: only SOURCE and DEST are expected"):format(names[3]) end
  local problem
  options.source, problem = M.address(names[1], 0)
  if problem then return nil, problem end
  options.dest, problem = M.address(names[2], 1)
  if problem then return nil, problem end
  return options
end

return M
