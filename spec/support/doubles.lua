-- SPDX-License-Identifier: MIT
return require "asyncwrite.testing.conformance.doubles"
