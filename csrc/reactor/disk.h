/* SPDX-License-Identifier: MIT */
/* Blocking calls on a file, for threads of the pool. Results are counts, positions or negative codes. */
#ifndef AW_DISK_H
#define AW_DISK_H

#include "asyncwrite.h"

/* It is ready to be read and written at any time, as only files on disks are. */
bool aw_disk_is_regular(int fd);

/* Adds O_CLOEXEC and O_NOCTTY; and O_NONBLOCK, which regular files ignore, so that no pipe or terminal can hold a
 * thread. *regular: as above. */
int aw_disk_open(const char *path, int flags, int mode, bool *regular);

/* Writes all of it, at the file's position or at *at, which moves on. Returns what was written; *rc is why no more.
 * Whatever the mask of the thread, no signal comes of it: EPIPE and EFBIG are results. */
size_t aw_disk_write(int fd, const char *data, size_t len, int64_t *at, int *rc);

ssize_t aw_disk_read(int fd, char *base, size_t len);
int64_t aw_disk_seek(int fd, int64_t offset, int whence);
int aw_disk_set_len(int fd, int64_t len);
int aw_disk_sync(int fd, bool data_only);

#endif
