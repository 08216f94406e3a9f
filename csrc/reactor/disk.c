/* SPDX-License-Identifier: MIT */
/* Blocking calls on a file. Not uv_fs_*: the pool may have been started by a host with its signals open, and then
 * SIGXFSZ of a write beyond RLIMIT_FSIZE would end the process. */
#include "reactor/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int failure(void) { return uv_translate_sys_error(errno); }

bool aw_disk_is_regular(int fd) {
  struct stat st;
  return fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode);
}

int aw_disk_open(const char *path, int flags, int mode, bool *regular) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return failure();
  *regular = aw_disk_is_regular(fd);
  return fd;
}

/* Somebody else who shares the open file may have made it non-blocking. */
static bool again(int fd, short events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
  poll(&(struct pollfd){.fd = fd, .events = events}, 1, -1);
  return true;
}

static int write_on(int fd, const char *data, size_t len, int64_t *at, size_t *done) {
  while (*done < len) {
    ssize_t n = at ? pwrite(fd, data + *done, len - *done, *at) : write(fd, data + *done, len - *done);
    if (n < 0 && again(fd, POLLOUT)) continue;
    if (n < 0) return failure();
    if (n == 0) return AW_EWRITEZERO;
    *done += (size_t)n;
    if (at) *at += n;
  }
  return 0;
}

size_t aw_disk_write(int fd, const char *data, size_t len, int64_t *at, int *rc) {
  sigset_t held, before, pending;
  size_t done = 0;
  sigemptyset(&held);
  sigaddset(&held, SIGPIPE);
  sigaddset(&held, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &held, &before);
  sigpending(&pending);
  *rc = write_on(fd, data, len, at, &done);
  if (sigismember(&pending, SIGPIPE)) sigdelset(&held, SIGPIPE);
  if (sigismember(&pending, SIGXFSZ)) sigdelset(&held, SIGXFSZ);
  if (*rc == UV_EPIPE || *rc == UV_EFBIG)
    while (sigtimedwait(&held, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return done;
}

ssize_t aw_disk_read(int fd, char *base, size_t len) {
  ssize_t n;
  do n = read(fd, base, len);
  while (n < 0 && again(fd, POLLIN));
  return n < 0 ? failure() : n;
}

int64_t aw_disk_seek(int fd, int64_t offset, int whence) {
  int64_t at = lseek(fd, offset, whence);
  return at < 0 ? failure() : at;
}

int aw_disk_set_len(int fd, int64_t len) {
  int rc;
  do rc = ftruncate(fd, len);
  while (rc < 0 && errno == EINTR);
  return rc < 0 ? failure() : 0;
}

static int sync_once(int fd, bool data_only) {
#ifdef __APPLE__
  (void)data_only; /* there is no fdatasync */
  return fsync(fd);
#else
  return data_only ? fdatasync(fd) : fsync(fd);
#endif
}

int aw_disk_sync(int fd, bool data_only) {
  int rc;
  do rc = sync_once(fd, data_only);
  while (rc < 0 && errno == EINTR);
  return rc < 0 ? failure() : 0;
}
