/*
 * Has a chosen call of a process fail: preloaded by tests/faults/check.
 *
 *   FAULT=function:N:ERRNO[:lasting]   its N-th call (from 1), and with "lasting" all later ones, fail
 *   FAULT=function:N:short             its N-th call writes half of what it should
 *   FAULT=clock:N:SECONDS              the wall clock is wrong by so much from the N-th look at it on
 *   FAULT_COUNTS=FILE                  how often each function was called, when the process ends
 *
 * Only the process that it is preloaded into is concerned, not what that starts. Sleeping costs no time:
 * the clock is put forward instead, so that what is given up after ten seconds is given up at once.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITE, WRITEV, PWRITE, READ, OPENAT, OPEN, MKDIRAT, MKDIR, RENAMEAT, LINKAT, SYMLINKAT, UNLINKAT, FSYNC,
       FTRUNCATE, FCHMOD, FSTAT, PIPE2, CLONE, FCNTL, EVENTFD, PTHREAD_CREATE, WAITPID, PPOLL, MALLOC, CLOSE, CLOCK, FUNCTIONS };
static const char *const names[FUNCTIONS] = {
    "write", "writev", "pwrite", "read", "openat", "open", "mkdirat", "mkdir", "renameat", "linkat", "symlinkat",
    "unlinkat", "fsync", "ftruncate", "fchmod", "fstat", "pipe2", "clone", "fcntl", "eventfd", "pthread_create",
    "waitpid", "ppoll", "malloc", "close", "clock"};

static atomic_ulong counts[FUNCTIONS];
static int chosen = -1, error;
static unsigned long nth;
static bool lasting, halved, ready;
static char counts_file[4096];
static _Atomic int64_t ahead_ns;

__attribute__((constructor)) static void begin(void)
{
    char *fault = getenv("FAULT"), *file = getenv("FAULT_COUNTS");
    char name[32], how[16], more[16] = "";
    if (file)
        snprintf(counts_file, sizeof counts_file, "%s", file);
    if (fault && sscanf(fault, "%31[^:]:%lu:%15[^:]:%15s", name, &nth, how, more) >= 3) {
        for (int i = 0; i < FUNCTIONS; i++)
            chosen = strcmp(names[i], name) == 0 ? i : chosen;
        halved = strcmp(how, "short") == 0;
        error = atoi(how);
        lasting = strcmp(more, "lasting") == 0;
    }
    unsetenv("FAULT"); /* those that are started are spared */
    unsetenv("FAULT_COUNTS");
    unsetenv("LD_PRELOAD");
    ready = true;
}

__attribute__((destructor)) static void end(void)
{
    char line[64];
    int fd = counts_file[0] ? (int)syscall(SYS_openat, AT_FDCWD, counts_file, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    for (int i = 0; fd >= 0 && i < FUNCTIONS; i++) {
        int n = snprintf(line, sizeof line, "%s %lu\n", names[i], atomic_load(&counts[i]));
        if (syscall(SYS_write, fd, line, n) != n)
            abort();
    }
}

/* Whether this call of the function is the one. */
static bool fails(int function)
{
    if (!ready)
        return false;
    unsigned long n = atomic_fetch_add(&counts[function], 1) + 1;
    if (function != chosen || (n != nth && !(lasting && n > nth)) || halved)
        return false;
    errno = error;
    return true;
}

static bool is_halved(int function)
{
    return halved && function == chosen && atomic_load(&counts[function]) == nth;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t n)
{
    if (fd > 2 && fails(WRITE))
        return -1;
    return syscall(SYS_write, fd, bytes, fd > 2 && is_halved(WRITE) && n > 1 ? n / 2 : n);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    if (fails(WRITEV))
        return -1;
    if (is_halved(WRITEV) && v[0].iov_len > 1)
        return syscall(SYS_write, fd, v[0].iov_base, v[0].iov_len / 2);
    return syscall(SYS_writev, fd, v, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return fails(PWRITE) ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t read(int fd, void *bytes, size_t n)
{
    return fails(READ) ? -1 : syscall(SYS_read, fd, bytes, n);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return fails(OPENAT) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return fails(MKDIRAT) ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(MKDIR) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(RENAMEAT) ? -1 : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return fails(LINKAT) ? -1 : (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int symlinkat(const char *target, int dir, const char *path)
{
    return fails(SYMLINKAT) ? -1 : (int)syscall(SYS_symlinkat, target, dir, path);
}

int unlinkat(int dir, const char *path, int flags)
{
    return fails(UNLINKAT) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int fsync(int fd)
{
    return fails(FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fchmod(int fd, mode_t mode)
{
    return fails(FCHMOD) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int fstat(int fd, struct stat *st)
{
    REAL(fstat);
    return fails(FSTAT) ? -1 : real(fd, st);
}

int pipe2(int ends[2], int flags)
{
    return fails(PIPE2) ? -1 : (int)syscall(SYS_pipe2, ends, flags);
}

int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    va_list more;
    va_start(more, arg);
    void *pidfd = flags & 0x1000 /* CLONE_PIDFD */ ? va_arg(more, void *) : NULL;
    va_end(more);
    REAL(clone);
    return fails(CLONE) ? -1 : real(fn, stack, flags, arg, pidfd);
}

int fcntl(int fd, int command, ...)
{
    va_list more;
    va_start(more, command);
    void *arg = va_arg(more, void *);
    va_end(more);
    return fails(FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, arg);
}

int eventfd(unsigned value, int flags)
{
    return fails(EVENTFD) ? -1 : (int)syscall(SYS_eventfd2, value, flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    REAL(pthread_create);
    return fails(PTHREAD_CREATE) ? error : real(thread, attr, fn, arg);
}

pid_t waitpid(pid_t pid, int *status, int flags)
{
    return fails(WAITPID) ? -1 : (pid_t)syscall(SYS_wait4, pid, status, flags, NULL);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec left = timeout ? *timeout : (struct timespec){0, 0};
    return fails(PPOLL) ? -1 : (int)syscall(SYS_ppoll, fds, n, timeout ? &left : NULL, mask, 8);
}

/* It is closed all the same, as the kernel does. */
int close(int fd)
{
    bool failed = fd > 2 && fails(CLOSE);
    int rc = (int)syscall(SYS_close, fd);
    errno = failed ? error : errno;
    return failed ? -1 : rc;
}

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    return fails(MALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails(MALLOC) ? NULL : __libc_realloc(p, n);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    int64_t ns = t->tv_nsec + atomic_load(&ahead_ns);
    t->tv_sec += ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
    if (ready && id == CLOCK_REALTIME && atomic_fetch_add(&counts[CLOCK], 1) + 1 >= nth && chosen == CLOCK)
        t->tv_sec += error;
    return rc;
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *t, struct timespec *left)
{
    (void)id, (void)left;
    if (!(flags & TIMER_ABSTIME))
        atomic_fetch_add(&ahead_ns, t->tv_sec * INT64_C(1000000000) + t->tv_nsec);
    sched_yield();
    return 0;
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
    return clock_nanosleep(CLOCK_REALTIME, 0, t, left);
}
