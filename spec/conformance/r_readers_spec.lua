-- SPDX-License-Identifier: MIT
-- What the contract asks of readers, and of wrappers over doubles: the kit's cases alone.

local H = require "conformance.harness"

local M = {}
H.kit(M, "r_readers")
H.kit(M, "wrappers")

return M
