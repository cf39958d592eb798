/*
 * pidfd_open for valgrind 3.19, which does not know the system call: preloaded by cli/leaks.sh. An
 * eventfd becomes readable when the child has ended, as a pidfd would.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int pidfd_open(pid_t pid, unsigned flags);

struct watched {
    pid_t pid;
    int fd;
};

static void *wait_for_end(void *arg)
{
    struct watched w = *(struct watched *)arg;
    siginfo_t info;
    free(arg);
    while (waitid(P_PID, (id_t)w.pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        continue;
    eventfd_write(w.fd, 1);
    return NULL;
}

int pidfd_open(pid_t pid, unsigned flags)
{
    struct watched *w = malloc(sizeof *w);
    pthread_t thread;
    (void)flags;
    if (!w)
        return -1;
    *w = (struct watched){pid, eventfd(0, EFD_CLOEXEC)};
    int fd = w->fd;
    errno = fd < 0 ? errno : pthread_create(&thread, NULL, wait_for_end, w);
    if (fd < 0 || errno != 0) {
        free(w);
        return -1;
    }
    pthread_detach(thread);
    return fd;
}
