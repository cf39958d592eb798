/*
 * Owns the search for processes by their mark, and the process that does it when we can't. After the
 * clone that one makes system calls only: other threads of ours may have held any lock.
 */
#include "reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "tsan.h"

#define REAPER_STACK ((size_t)64 * 1024)
#define PATH_ROOM 64
#define ROUNDS 100 /* of a sweep, with 10 ms in between */
#define GENERATIONS 10000

/* Runs in the child as well, where a sanitizer must note nothing. */
#define BOTH __attribute__((no_sanitize("address"))) __attribute__((no_sanitize("thread")))

struct mark {
    char text[128]; /* a NUL, NAME=VALUE, a NUL: as it stands between others */
    size_t n;
};

static void make_mark(struct mark *m, const char *instance)
{
    static const char name[] = REAPER_MARK "=";
    size_t n = instance ? strnlen(instance, sizeof m->text - sizeof name - 2) : 0;
    *m = (struct mark){.n = instance ? sizeof name + n + 1 : 0};
    memcpy(m->text + 1, name, sizeof name - 1);
    memcpy(m->text + sizeof name, instance, n);
}

/* Whether bytes[0, n) hold the mark. */
BOTH static bool holds(const char *bytes, size_t n, const struct mark *m)
{
    for (size_t i = 0; i + m->n <= n; i++) {
        size_t k = 0;
        while (k < m->n && bytes[i + k] == m->text[k])
            k++;
        if (k == m->n)
            return true;
    }
    return false;
}

/* Opens a file of the process in /proc, or -1. */
BOTH static long open_of(long pid, const char *file)
{
    char path[PATH_ROOM] = "/proc/";
    long unit = 1;
    size_t at = 6;
    while (pid / unit >= 10)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        path[at++] = (char)('0' + pid / unit % 10);
    for (size_t i = 0; file[i]; i++)
        path[at++] = file[i];
    return syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

/* Whether the environment of the process has the mark. */
BOTH static bool carries(long pid, const struct mark *m)
{
    char block[4096 + sizeof m->text];
    size_t kept = 1;
    long fd = open_of(pid, "/environ"), got;
    bool found = false;
    if (fd < 0)
        return false;
    block[0] = '\0'; /* before the first one there is none */
    while (!found && (got = syscall(SYS_read, fd, block + kept, 4096)) > 0) {
        size_t n = kept + (size_t)got, rest = n < m->n ? n : m->n - 1;
        found = holds(block, n, m);
        for (size_t i = 0; i < rest; i++)
            block[i] = block[n - rest + i];
        kept = rest;
    }
    syscall(SYS_close, fd);
    return found;
}

/* Digits at the begin; 0: there are none. */
BOTH static long number(const char *text)
{
    long n = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (*text - '0');
    return n;
}

/* The parent of the process, or 0. In its stat(5) follow the state and that behind the last ')': the
 * name within may hold anything. */
BOTH static long parent_of(long pid)
{
    char text[512];
    long fd = open_of(pid, "/stat"), n, close = 0;
    if (fd < 0)
        return 0;
    n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    for (long i = 0; i < n; i++)
        close = text[i] == ')' ? i : close;
    if (n < 0 || close + 4 >= n)
        return 0;
    text[n] = '\0';
    return number(text + close + 4);
}

/* Of a directory, as getdents64(2) gives it. */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

/* Whom a sweep kills: who carries the mark (n 0: nobody does), and what descends from `parent` (0: from
 * nobody), but `spared`. */
struct target {
    struct mark mark;
    long parent, spared;
};

/* A deep chain of them would take a round each, if only children were meant. */
BOTH static bool descends(long pid, long from)
{
    for (int i = 0; pid > 1 && i < GENERATIONS; i++) {
        pid = parent_of(pid);
        if (pid == from)
            return true;
    }
    return false;
}

/* Whether /proc shows the processes as we number them: a namespace of its own may have the one of
 * another mounted. */
BOTH static bool proc_is_ours(void)
{
    char self[16];
    long n = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    return number(self) == syscall(SYS_getpid);
}

/* By a descriptor that stands for the process from before we look at it: its number may be another's
 * afterwards. One of ours that is dead is buried. */
BOTH static bool kill_if_target(long pid, const struct target *t)
{
    if (pid <= 1 || pid == t->spared || pid == syscall(SYS_getpid))
        return false;
    long fd = syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return false;
    bool killed = ((t->mark.n > 0 && carries(pid, &t->mark)) || (t->parent && descends(pid, t->parent))) &&
                  syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
    if (killed)
        syscall(SYS_waitid, P_PIDFD, fd, NULL, WEXITED | WNOHANG, NULL);
    syscall(SYS_close, fd);
    return killed;
}

/* How many were killed. */
BOTH static unsigned kill_targets(const struct target *t)
{
    _Alignas(struct entry) char block[4096];
    long proc = syscall(SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), n;
    unsigned killed = 0;
    while (proc >= 0 && (n = syscall(SYS_getdents64, proc, block, sizeof block)) > 0) {
        const struct entry *e;
        for (long at = 0; at < n; at += e->reclen) {
            e = (const void *)(block + at);
            killed += kill_if_target(number(e->name), t);
        }
    }
    if (proc >= 0)
        syscall(SYS_close, proc);
    return killed;
}

/* One that has been killed is still there for a moment, and may have had a child before. */
BOTH static void sweep(const struct target *t)
{
    const struct {
        int64_t sec, nsec;
    } pause = {0, 10000000};
    for (int i = 0; i < ROUNDS && proc_is_ours() && kill_targets(t) > 0; i++)
        syscall(SYS_nanosleep, &pause, NULL);
}

static atomic_bool adopting;

void reaper_adopt(void)
{
    siginfo_t info;
    bool none = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 && errno == ECHILD;
    if (none && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
        atomic_store(&adopting, true);
}

/* Whom we adopt is the main thread's, and whom a worker has started is the worker's; the reaper does not
 * tell us of its end, so it is not meant. */
bool reaper_bury(void)
{
    bool any = false;
    siginfo_t info = {.si_pid = 0};
    while (atomic_load(&adopting) && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WNOTHREAD) == 0 &&
           info.si_pid != 0) {
        any = true;
        info.si_pid = 0;
    }
    return any;
}

static void sweep_for(const char *instance, struct target t)
{
    make_mark(&t.mark, instance);
    sweep(&t);
}

void reaper_sweep(const char *instance)
{
    sweep_for(instance, (struct target){.parent = 0});
}

void reaper_sweep_all(const struct reaper *r, const char *instance)
{
    long parent = atomic_load(&adopting) ? getpid() : 0;
    sweep_for(instance, (struct target){.parent = parent, .spared = r ? r->pid : 0});
}

struct start {
    struct target target;
    int fd;     /* the pipe that ends with its parent */
    char *ours; /* where we stand marked ourselves, by an orchestrator that runs us; or NULL */
};

/* Bears no mark, so that who ends us and all that we have started leaves it to end the latter. Holds
 * nothing of its parent but the pipe, so that nobody waits for its ends of others; takes no signal, and no
 * part in its terminal. */
BOTH static int reaper_main(void *arg)
{
    const struct start *s = arg;
    static const uint64_t all = UINT64_MAX;
    char word;
    long n;
    if (s->ours)
        *s->ours = '-';
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    syscall(SYS_setsid);
    syscall(SYS_chdir, "/");
    syscall(SYS_prctl, PR_SET_NAME, "corch-reaper", 0, 0, 0);
    if (s->fd > 0)
        syscall(SYS_close_range, 0, s->fd - 1, 0);
    syscall(SYS_close_range, s->fd + 1, ~0U, 0);
    do
        n = syscall(SYS_read, s->fd, &word, 1);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        sweep(&s->target);
    syscall(SYS_exit_group, 0);
    return 0;
}

int reaper_start(struct reaper *r, const char *instance)
{
    _Alignas(16) char stack[REAPER_STACK]; /* the child's is a copy */
    struct start s;
    int ends[2];
    *r = (struct reaper){0, -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    s.target = (struct target){.parent = 0};
    make_mark(&s.target.mark, instance);
    s.fd = ends[0];
    s.ours = getenv(REAPER_MARK);
    r->pid = clone(reaper_main, stack + sizeof stack, 0, &s);
    int saved = errno;
    close(ends[0]);
    r->fd = ends[1];
    if (r->pid > 0)
        return 0;
    fd_close(&r->fd);
    r->pid = 0;
    errno = saved;
    return -1;
}

void reaper_stop(struct reaper *r)
{
    if (r->pid <= 0)
        return;
    kill(r->pid, SIGKILL); /* it holds nothing, and may have been stopped */
    fd_close(&r->fd);
    while (waitpid(r->pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
    r->pid = 0;
}
