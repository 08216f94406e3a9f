-- SPDX-License-Identifier: MIT
-- Every stack of three wrappers over chaos. SPEC_CHAOS: seeds per stack, 2; `make soak` runs 1,000.

local lu = require "luaunit"
local executor = require "asyncwrite.executor"
local seed = require "support.seed"
local stack = require "conformance.stack"

local M = {}

function M.test_every_accepted_byte_comes_out_once_of_every_stack_of_three()
  if executor.host().name ~= "standalone" then lu.skip("it would wait in real time") end
  stack.explore(seed % 1000000, tonumber(os.getenv("SPEC_CHAOS")) or 2)
end

return M
