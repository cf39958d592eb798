/*
 * A log that is only appended to, in whole lines. The persister, and before and after it whoever has the
 * run's files.
 */
#ifndef CORCH_LOGFILE_H
#define CORCH_LOGFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "cancel.h"

/* Opens or makes (0600) the file `name` for appending, no link followed. -1 with errno. */
int logfile_open(int dirfd, const char *name);

/* Whether both are one file, and a regular one. 0, or -1 with errno: not to know would have lines there
 * twice. */
int logfile_same(int fd, int other, bool *same);

/*
 * Appends `n` pieces (up to GATHERED_CHUNKS), each of them whole or not at all: on a lasting failure what
 * was written of one is cut off again. A full disk is waited for, for as long as write_patience_ns says.
 * Returns how many were written; fewer than `n`: errno.
 */
int logfile_append(int fd, const struct iovec *lines, int n, const struct cancel *cancel);

/* How long what can't be written is tried again: WRITE_RETRY_MS, and less for a run that is to end.
 * `cancel` may be NULL. */
int64_t write_patience_ns(const struct cancel *cancel);

#endif
