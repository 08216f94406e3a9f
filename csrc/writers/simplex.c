/* SPDX-License-Identifier: MIT */
/* simplex: a one-way in-memory pipe, as tokio's io::simplex. A leaf. */
#include "core/mem_pipe.h"

static const aw_writer_type writer_type = {
    .name = "simplex",
    .vectored = AW_VECTORED_YES,
    .poll_write = aw_mem_poll_write,
    .poll_flush = aw_mem_poll_flush,
    .poll_shutdown = aw_mem_poll_shutdown,
    .describe = aw_mem_describe_writer,
    .destroy = aw_mem_destroy_writer,
};

static const aw_reader_type reader_type = {
    .name = "simplex",
    .poll_read = aw_mem_poll_read,
    .describe = aw_mem_describe_reader,
    .destroy = aw_mem_destroy_reader,
};

int aw_simplex_new(aw_stream *out, size_t capacity) {
  return aw_mem_ends_new(out, &writer_type, &reader_type, capacity);
}
