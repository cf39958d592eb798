/* Owns the cancel level and its descriptors. Any thread. */
#include "cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

int cancel_init(struct cancel *c)
{
    atomic_init(&c->level, CANCEL_NONE);
    c->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fds[0] >= 0 && c->fds[1] >= 0)
        return 0;
    cancel_release(c);
    return -1;
}

void cancel_release(struct cancel *c)
{
    for (int i = 0; i < 2; i++) {
        if (c->fds[i] >= 0)
            close(c->fds[i]);
        c->fds[i] = -1;
    }
}

void cancel_raise(struct cancel *c, int level)
{
    int old = atomic_load(&c->level);
    while (old < level && !atomic_compare_exchange_weak(&c->level, &old, level))
        continue;
    for (int i = 0; i < level; i++)
        eventfd_write(c->fds[i], 1);
}
