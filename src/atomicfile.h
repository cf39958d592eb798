/*
 * Replacing a file so that a reader, or a crash, finds the old or the new one, whole: a temporary
 * file of a unique name in the same folder, written, synced, renamed over the target, the folder
 * synced. Stateless; any thread.
 */
#ifndef CORCH_ATOMICFILE_H
#define CORCH_ATOMICFILE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

enum atomic_sync {
    ATOMIC_DURABLE, /* file and folder are synced: it survives a power cut */
    ATOMIC_DERIVED  /* not synced: the content can be made again from other files */
};

/* Replaces `name` (no slash) in the folder `dirfd` with `n` bytes, mode `mode` whatever the umask.
 * Returns 0, or -1 with errno and the old file untouched and no temporary left; only when the last
 * step fails, syncing the folder, -1 means that the new file is there but may not survive. */
int atomicfile_replace(int dirfd, const char *name, const void *bytes, size_t n, mode_t mode,
                       enum atomic_sync sync);

/* The same in steps, for content that is too large to be held: begin, write_all to `fd`, and then
 * one of commit and abort. A file begun is nobody's until its commit. */
struct atomicfile {
    int fd; /* of the temporary; -1: not open */
    int dirfd;
    const char *name; /* the caller's */
    char tmp[NAME_MAX + 1];
};

int atomicfile_begin(struct atomicfile *f, int dirfd, const char *name, mode_t mode);
int atomicfile_commit(struct atomicfile *f, enum atomic_sync sync); /* as atomicfile_replace */
void atomicfile_abort(struct atomicfile *f);                        /* errno is kept */

/* Removes the temporaries that a process has left which was killed, from a folder where nobody replaces
 * files now; only those for the file `name`, if that is not NULL. How many, or -1 with errno. */
int atomicfile_sweep(int dirfd, const char *name);

/* Writes all of `n` bytes to `fd` despite short writes and EINTR. 0, or -1 with errno. */
int write_all(int fd, const void *bytes, size_t n);

/* The calls used, replaceable by tests before any thread is started. NULL, also for one of them,
 * restores the real one. */
struct atomicfile_calls {
    ssize_t (*write)(int fd, const void *bytes, size_t n);
    int (*fsync)(int fd);
    int (*renameat)(int from_dir, const char *from, int to_dir, const char *to);
};
void atomicfile_inject(const struct atomicfile_calls *calls);

/* How many files were replaced in this process. */
unsigned long atomicfile_count(void);

#endif
