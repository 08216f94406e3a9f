std = "lua54+luajit"
max_line_length = 130
self = false
cache = false

-- Read by the language server only.
exclude_files = { "lua/asyncwrite/core.d.lua" }

files["spec"] = {
  globals = { "EXPORT_ASSERT_TO_GLOBALS" },
  read_globals = { "LuaUnit" },
}
files["rockspec"] = { std = "rockspec" }
files["spec/examples/nvim_client.lua"] = { read_globals = { "vim" } }
