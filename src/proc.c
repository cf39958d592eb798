/* Owns the start and end of child processes. Any thread. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"
#include "fd.h"

/* O_CLOEXEC from the start: a sibling that another thread spawns must not inherit an end, or the
 * end of this file would wait for that sibling. */
static int open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

static int set_actions(posix_spawn_file_actions_t *a, const char *cwd, int out, int err)
{
    int rc = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(a, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(a, err, 2);
    if (rc == 0) /* what we inherited ourselves, or a library opened without O_CLOEXEC */
        rc = posix_spawn_file_actions_addclosefrom_np(a, 3);
    if (rc == 0 && cwd)
        rc = posix_spawn_file_actions_addchdir_np(a, cwd);
    return rc;
}

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setpgroup(attr, 0);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attr, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attr, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                POSIX_SPAWN_SETSIGDEF);
    return rc;
}

/* posix_spawn, never fork: its cost does not grow with our memory. Returns an errno. */
static int spawn_shell(struct proc *p, const char *command, const char *cwd, char *const *env,
                       int out, int err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        char shell[] = "/bin/sh", dash_c[] = "-c";
        const char *words[] = {shell, dash_c, command, NULL};
        char *argv[4];
        memcpy(argv, words, sizeof argv);
        rc = set_actions(&actions, cwd, out, err);
        if (rc == 0)
            rc = set_attributes(&attr);
        if (rc == 0)
            rc = posix_spawn(&p->pid, shell, &actions, &attr, argv, env);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Without a pidfd the command can't be watched: it must not run on alone. */
static int watch(struct proc *p)
{
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd >= 0)
        return 0;
    int saved = errno;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return saved;
}

int proc_spawn(struct proc *p, const char *command, const char *cwd, char *const *env,
               const char **failed)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, rc = 0;
    *p = (struct proc){.pid = -1, .pidfd = -1, .out = {-1, -1}};
    *failed = "open a pipe for its output";
    if (open_pipe(out) != 0 || open_pipe(err) != 0)
        rc = errno;
    if (rc == 0) {
        rc = spawn_shell(p, command, cwd, env, out[1], err[1]);
        *failed = cwd && access(cwd, X_OK) != 0 ? "enter its folder" : "start /bin/sh";
    }
    if (rc == 0) {
        *failed = "watch its process";
        rc = watch(p);
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

void proc_reap(struct proc *p, int *exit_code, int *signal)
{
    int status = 0;
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    fd_close(&p->pidfd);
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
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
