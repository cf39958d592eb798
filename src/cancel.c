/* Owns the level of cancellation. Any thread. */
#include "cancel.h"

#include <stddef.h>

void cancel_init(struct cancel *c, struct cancel *parent)
{
    atomic_init(&c->level, CANCEL_NONE);
    atomic_init(&c->reason, CANCEL_ASKED);
    atomic_init(&c->halted, false);
    c->parent = parent;
}

void cancel_raise(struct cancel *c, int level, enum cancel_reason reason)
{
    int old = atomic_load(&c->level);
    if (old == CANCEL_NONE) /* before the level: who sees that sees a reason for it */
        atomic_store(&c->reason, (int)reason);
    while (old < level && !atomic_compare_exchange_weak(&c->level, &old, level))
        continue;
}

int cancel_level(const struct cancel *c)
{
    int highest = CANCEL_NONE;
    for (; c; c = c->parent) {
        int level = atomic_load(&c->level);
        highest = level > highest ? level : highest;
    }
    return highest;
}

enum cancel_reason cancel_reason(const struct cancel *c)
{
    while (c->parent && atomic_load(&c->level) == CANCEL_NONE)
        c = c->parent;
    return (enum cancel_reason)atomic_load(&c->reason);
}

bool cancel_asked(const struct cancel *c)
{
    return cancel_level(c) != CANCEL_NONE && cancel_reason(c) == CANCEL_ASKED;
}

bool cancel_follows(const struct cancel *c)
{
    return cancel_level(c) != CANCEL_NONE && cancel_reason(c) != CANCEL_ASKED;
}

void cancel_halt(struct cancel *c)
{
    atomic_store(&c->halted, true);
}

bool cancel_halted(const struct cancel *c)
{
    return atomic_load(&c->halted) || cancel_level(c) != CANCEL_NONE;
}
