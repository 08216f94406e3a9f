/* SPDX-License-Identifier: MIT */
/* Preloaded behind the sanitizer's runtime: takes LD_PRELOAD out of the environment, so that no child inherits it. */
#include <stdlib.h>

__attribute__((constructor)) static void unpreload(void) { unsetenv("LD_PRELOAD"); }
