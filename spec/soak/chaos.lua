-- SPDX-License-Identifier: MIT
-- make soak: every stack of three wrappers over chaos, SOAK_SEEDS seeds each (1,000), from SPEC_SEED on.

local seed = require "support.seed"
local stack = require "conformance.stack"

local seeds = tonumber(os.getenv("SOAK_SEEDS")) or 1000
local first = seed % 1000000

print(("chaos: %d seeds from %d on, over every stack of three of %d wrappers"):format(seeds, first, #stack.wrappers))
local start = os.clock()
local ok, result = pcall(stack.explore, first, seeds, function(done, all)
  if done % 100 == 0 then print(("  %d of %d stacks, %.0f s"):format(done, all, os.clock() - start)) end
end)
print(ok and ("chaos: %d runs, every accepted byte came out once or was told of"):format(result) or "FAILED: " .. result)
os.exit(ok and 0 or 1, true)
