/*
 * No command outlives its run by force: processes carry the mark of the orchestrator that started them
 * in their environment (CODEX_ORCHESTRATOR_INSTANCE_ID), and are found by it in /proc wherever they
 * have gone to: into another process group, a session of their own, or to another parent. Who gives up
 * the mark is still found while we live if we are the one who adopts orphans (PR_SET_CHILD_SUBREAPER in
 * prctl(2)), as the program is.
 *
 * A reaper is a small process of ours that waits for our death: if we are killed, it kills those with
 * the mark. Any thread.
 */
#ifndef CORCH_REAPER_H
#define CORCH_REAPER_H

#include <stdbool.h>
#include <sys/types.h>

struct reaper {
    pid_t pid; /* 0: none */
    int fd;    /* it waits for the end of this pipe; -1: none */
};

#define REAPER_MARK "CODEX_ORCHESTRATOR_INSTANCE_ID"

/* Starts it for what carries the mark `instance`. 0, or -1 with errno. */
int reaper_start(struct reaper *r, const char *instance);

/* Ends it: all is well. Again, or never started: no harm. */
void reaper_stop(struct reaper *r);

/* Kills all that carries the mark, and what that has started meanwhile, for as long as there is any or a
 * second has passed. */
void reaper_sweep(const char *instance);

/* The same, and kills what we have adopted: all that descends from us but `r` (NULL: that as well), so no
 * command may be running that is not meant. `instance` NULL: no mark. */
void reaper_sweep_all(const struct reaper *r, const char *instance);

/*
 * From now on this process becomes the parent of what its commands have left behind. For a program that
 * starts no processes besides; not done if it has children already (a shell that has some, and then
 * executes us). Main thread.
 */
void reaper_adopt(void);

/* Takes note of the ends of those adopted, which are zombies until then. Whether there were any. Main
 * thread. */
bool reaper_bury(void);

#endif
