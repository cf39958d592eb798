/* Owns the start and end of child processes. Any thread. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"
#include "fd.h"
#include "tsan.h"

/* Runs in the child, in our memory, and does not return: nothing may be noted in between. */
#define CHILD_ONLY __attribute__((no_sanitize("address"))) __attribute__((no_sanitize("thread")))

#define CHILD_STACK ((size_t)16 * 1024) /* for a handful of system calls */

uint64_t proc_signals(void)
{
    uint64_t found = 0;
    for (int n = 1; n < NSIG; n++) {
        struct sigaction now;
        if (sigaction(n, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
            found |= UINT64_C(1) << (n - 1);
    }
    return found;
}

/* Standard descriptors are the child's to set: an end that got such a number, because our caller has
 * closed its own, makes room. */
static int lift(int *fd)
{
    if (*fd > 2)
        return 0;
    int above = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    fd_close(fd);
    *fd = above;
    return above < 0 ? -1 : 0;
}

/* O_CLOEXEC from the start: a sibling that another thread spawns must not inherit an end, or the
 * end of this file would wait for that sibling. */
static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0 || lift(&ends[0]) != 0 || lift(&ends[1]) != 0)
        return -1;
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

/* What parent and child have in common while the child has not executed the shell. */
struct launch {
    const struct proc_request *request;
    const char *argv[4];
    int out, err; /* write ends */
    pid_t parent;
    const char *failed;
    int error;
};

/* The kernel's own calls from here on: the child shares our memory, and what the library or a
 * sanitizer would note of them is not true of us. Any handler of ours is gone before a signal can
 * come, and the kernel's struct sigaction, all zero, is the default. */
CHILD_ONLY static void reset_signals(uint64_t signals)
{
    static const char standard[256];
    static const uint64_t none;
    for (; signals; signals &= signals - 1)
        syscall(SYS_rt_sigaction, __builtin_ctzll(signals) + 1, standard, NULL, sizeof none);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

CHILD_ONLY static bool set_descriptors(const struct launch *l)
{
    long in = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
    if (in < 0 || (in != 0 && syscall(SYS_dup3, in, 0, 0) < 0) ||
        syscall(SYS_dup3, l->out, 1, 0) < 0 || syscall(SYS_dup3, l->err, 2, 0) < 0)
        return false;
    /* what we inherited ourselves, or a library opened without O_CLOEXEC */
    return syscall(SYS_close_range, 3, ~0U, 0) == 0;
}

CHILD_ONLY static int child_main(void *arg)
{
    struct launch *l = arg;
    const struct proc_request *r = l->request;
    l->failed = "set it up";
    /* it dies with us; if we are dead already it is too late to ask for that */
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (syscall(SYS_getppid) != l->parent)
        syscall(SYS_exit_group, 127);
    if (syscall(SYS_setpgid, 0, 0) == 0 && set_descriptors(l)) {
        l->failed = "enter its folder";
        if (!r->cwd || syscall(SYS_chdir, r->cwd) == 0) {
            l->failed = "start /bin/sh";
            reset_signals(r->signals);
            syscall(SYS_execve, l->argv[0], l->argv, r->env);
        }
    }
    l->error = errno;
    syscall(SYS_exit_group, 127);
    return 0;
}

/* The child runs on a part of our stack, which is not ours again before it has let go of our memory.
 * No signal may come to it before it has got rid of our handlers. */
static int clone_child(struct proc *p, struct launch *l)
{
    static const uint64_t all = UINT64_MAX;
    _Alignas(16) char stack[CHILD_STACK];
    uint64_t mask;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
    p->pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, l,
                   &p->pidfd);
    int saved = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    errno = saved;
    return p->pid < 0 ? -1 : 0;
}

/* Returns an errno; `l->failed` says what failed. */
static int spawn_shell(struct proc *p, struct launch *l)
{
    if (clone_child(p, l) != 0)
        return errno;
    if (l->error == 0)
        return 0;
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    fd_close(&p->pidfd);
    return l->error;
}

int proc_spawn(struct proc *p, const struct proc_request *request, const char **failed)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, rc = 0;
    *p = (struct proc){.pid = -1, .pidfd = -1, .out = {-1, -1}};
    *failed = "open a pipe for its output";
    if (open_pipe(out) != 0 || open_pipe(err) != 0)
        rc = errno;
    if (rc == 0) {
        struct launch l = {.request = request,
                           .argv = {"/bin/sh", "-c", request->command},
                           .out = out[1],
                           .err = err[1],
                           .parent = getpid(),
                           .failed = "start a process"};
        rc = spawn_shell(p, &l);
        *failed = l.failed;
    }
    fd_close(&out[1]);
    fd_close(&err[1]);
    if (rc != 0) {
        fd_close(&out[0]);
        fd_close(&err[0]);
        errno = rc;
        return -1;
    }
    p->out[0] = out[0];
    p->out[1] = err[0];
    return 0;
}

void proc_signal(const struct proc *p, int signal)
{
    if (p->pidfd >= 0)
        kill(-p->pid, signal);
}

int proc_reap(struct proc *p, int *exit_code, int *signal)
{
    int status = 0, rc;
    do
        rc = waitpid(p->pid, &status, 0) < 0 ? -1 : 0;
    while (rc < 0 && errno == EINTR);
    fd_close(&p->pidfd);
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return rc;
}

void proc_widen(const struct proc *p, int stream)
{
    fcntl(p->out[stream], F_SETPIPE_SZ, (int)PIPE_BYTES); /* best effort: the default works too */
}

void proc_close(struct proc *p, int stream)
{
    fd_close(&p->out[stream]);
}

const char *proc_signal_name(int signal, char out[16])
{
    const char *abbreviation = sigabbrev_np(signal);
    if (abbreviation)
        snprintf(out, 16, "SIG%s", abbreviation);
    else
        snprintf(out, 16, "SIG%d", signal);
    return out;
}
