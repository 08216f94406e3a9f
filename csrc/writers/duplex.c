/* SPDX-License-Identifier: MIT */
/* duplex: two ends, each a writer and a reader, as tokio's io::duplex. A leaf: two in-memory pipes crosswise. */
#include "core/mem_pipe.h"

static const aw_writer_type writer_type = {
    .name = "duplex",
    .vectored = AW_VECTORED_YES,
    .poll_write = aw_mem_poll_write,
    .poll_flush = aw_mem_poll_flush,
    .poll_shutdown = aw_mem_poll_shutdown,
    .describe = aw_mem_describe_writer,
    .destroy = aw_mem_destroy_writer,
};

static const aw_reader_type reader_type = {
    .name = "duplex",
    .poll_read = aw_mem_poll_read,
    .describe = aw_mem_describe_reader,
    .destroy = aw_mem_destroy_reader,
};

int aw_duplex_new(aw_stream *a, aw_stream *b, size_t capacity) {
  aw_stream there, back;
  int rc = aw_mem_ends_new(&there, &writer_type, &reader_type, capacity);
  if (rc < 0) return rc;
  rc = aw_mem_ends_new(&back, &writer_type, &reader_type, capacity);
  if (rc < 0) {
    aw_stream_free(&there);
    return rc;
  }
  *a = (aw_stream){.w = there.w, .r = back.r};
  *b = (aw_stream){.w = back.w, .r = there.r};
  return 0;
}
