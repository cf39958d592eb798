/*
 * No command outlives its run by force: processes carry the mark of the orchestrator that started them
 * in their environment (CODEX_ORCHESTRATOR_INSTANCE_ID), and are found by it in /proc wherever they
 * have gone to: into another process group, a session of their own, or to another parent. Who gives up
 * the mark is not found.
 *
 * A reaper is a small process of ours that waits for our death: if we are killed, it kills them. Any
 * thread.
 */
#ifndef CORCH_REAPER_H
#define CORCH_REAPER_H

#include <sys/types.h>

struct reaper {
    pid_t pid; /* 0: none */
    int fd;    /* it waits for the end of this pipe; -1: none */
};

#define REAPER_MARK "CODEX_ORCHESTRATOR_INSTANCE_ID"

/* Starts it for what carries the mark `instance`. 0, or -1 with errno. */
int reaper_start(struct reaper *r, const char *instance);

/* Tells it that all is well, and waits for its end. Again, or never started: no harm. */
void reaper_stop(struct reaper *r);

/* Kills all that carries the mark, and what that has started meanwhile, for as long as there is any or
 * a second has passed. */
void reaper_sweep(const char *instance);

#endif
