rockspec_format = "3.0"
package = "asyncwrite"
version = "scm-1"
source = { url = "." }
description = {
  summary = "AsyncWrite for Lua: backpressured writers in C, woken by libuv",
  detailed = [[
Rust's AsyncWrite contract for Lua: poll_write, poll_flush and poll_shutdown on writers implemented in C
(memory, duplex, buffered, TCP, unix sockets, pipes) that compose without crossing into Lua, with tasks on a libuv loop.]],
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1" }
external_dependencies = {
  UV = { header = "uv.h" },
}
build = {
  type = "make",
  build_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA = "$(LUA)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    UV_CFLAGS = "-I$(UV_INCDIR)",
    UV_LIBS = "-L$(UV_LIBDIR) -luv",
    WERROR = "0",
  },
  install_target = "install-lua",
  install_variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA = "$(LUA)",
    LUA_CFLAGS = "-I$(LUA_INCDIR)",
    UV_CFLAGS = "-I$(UV_INCDIR)",
    UV_LIBS = "-L$(UV_LIBDIR) -luv",
    WERROR = "0",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
    INST_BINDIR = "$(BINDIR)",
  },
}
