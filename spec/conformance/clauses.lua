-- SPDX-License-Identifier: MIT
-- Every clause of the contract. Those with a text have no test of their name here, and the text says why.

local NO_UV_WRITE = "nothing here uses uv_write: descriptors are polled and written to directly"

return {
  { "P1" }, { "P2" }, { "P3" }, { "P4" }, { "P5" }, { "P6" }, { "P7" }, { "P8" }, { "P9" }, { "P10" }, { "P11" },
  { "F1" }, { "F2" }, { "F3" }, { "F4" }, { "F5" }, { "F6" }, { "F7" },
  { "S1" }, { "S2" }, { "S3" }, { "S4" }, { "S5" }, { "S6" }, { "S7" }, { "S8" }, { "S9" }, { "S10" }, { "S11" },
  { "V1" }, { "V2" }, { "V3" }, { "V4" }, { "V5" }, { "V6" }, { "V7" },
  { "A1" }, { "A2" }, { "A3" }, { "A4" }, { "A5" }, { "A6" }, { "A7" }, { "A8" }, { "A9" }, { "A10" }, { "A11" },
  { "W1" }, { "W2" }, { "W3" }, { "W4" }, { "W5" }, { "W6" }, { "W7" }, { "W8" }, { "W9" }, { "W10" }, { "W11" },
  { "W12" }, { "W13" }, { "W14" },
  { "B1" }, { "B2" }, { "B3" }, { "B4" }, { "B5" }, { "B6" }, { "B7" }, { "B8" }, { "B9" }, { "B10" },
  { "M1" }, { "M2" }, { "M3" }, { "M4" }, { "M5" }, { "M6" }, { "M7" }, { "M8" },
  { "M9" }, { "M10", "there is no SinkWriter" }, { "M11", "there is no FramedWrite" },
  { "D1" }, { "D2" }, { "D3" }, { "D4" }, { "D5" }, { "D6" },
  { "X" },
  { "U1", NO_UV_WRITE }, { "U2" }, { "U3", "a cancelled write over sockets is A3" }, { "U4" }, { "U5", NO_UV_WRITE },
  { "U6", "shutdown of sockets, twice and before writes, is S4 and S6" }, { "U7", NO_UV_WRITE }, { "U8", NO_UV_WRITE },
  { "U9" }, { "Y", "where Lua can wait is the business of spec/unit/task_wait_spec" },
}
