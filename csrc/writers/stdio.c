/* SPDX-License-Identifier: MIT */
/* stdio: standard input, output and error, one half each. A leaf. O_NONBLOCK belongs to the open file and so to every
 * process at that terminal or pipe: it is never set there. Terminals, pipes and devices are opened a second time,
 * sockets are asked not to wait call by call; what is left (UV_EPERM) goes to file. */
#include "reactor/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ends our descriptor; fd 1 or 2 itself is the process's, and goes with it. */
static int poll_shutdown(aw_writer *w, aw_waker *waker) {
  (void)waker;
  aw_fd_stream_close(aw_fd_stream_of_writer(w));
  return 0;
}

static const aw_writer_type types[] = {
    {
        .name = "stdout",
        .vectored = AW_VECTORED_YES,
        .poll_write = aw_fd_stream_poll_write,
        .poll_flush = aw_fd_stream_poll_flush,
        .poll_shutdown = poll_shutdown,
        .describe = aw_describe_name,
        .destroy = aw_fd_stream_destroy_writer,
    },
    {
        .name = "stderr",
        .vectored = AW_VECTORED_YES,
        .poll_write = aw_fd_stream_poll_write,
        .poll_flush = aw_fd_stream_poll_flush,
        .poll_shutdown = poll_shutdown,
        .describe = aw_describe_name,
        .destroy = aw_fd_stream_destroy_writer,
    },
};

static const aw_reader_type reader_type = {
    .name = "stdin",
    .poll_read = aw_fd_stream_poll_read,
    .describe = aw_reader_describe_name,
    .destroy = aw_fd_stream_destroy_reader,
};

int aw_stdio_open(aw_stream *out, aw_reactor *reactor, int fd) {
  struct stat st;
  if (fd < STDIN_FILENO || fd > STDERR_FILENO) return UV_EINVAL;
  if (fstat(fd, &st) < 0) return uv_translate_sys_error(errno);
  bool file = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode), socket = S_ISSOCK(st.st_mode);
  bool reading = fd == STDIN_FILENO;
  int own = file     ? UV_EPERM
            : socket ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                     : aw_fd_reopen(fd, reading ? O_RDONLY : O_WRONLY);
  if (own < 0) return socket ? uv_translate_sys_error(errno) : UV_EPERM;
  return aw_fd_stream_new(out, reactor, own, socket, reading ? NULL : &types[fd - STDOUT_FILENO],
                          reading ? &reader_type : NULL);
}
