-- SPDX-License-Identifier: MIT
-- The seed of this run: SPEC_SEED, or the time of its first use.
return tonumber(os.getenv("SPEC_SEED")) or os.time()
