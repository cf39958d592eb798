/* Owns the marks of live runs. The thread that drives the run. */
#include "live_marks.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "atomicfile.h"
#include "fd.h"
#include "run_lock.h"
#include "taskdir.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int open_marks(const struct workspace *w)
{
    struct taskdir d;
    struct err ignored;
    if (taskdir_open(&d, w->runs, w->task_id, ".live", &ignored) != 0)
        return -1;
    int fd = fcntl(d.fd, F_DUPFD_CLOEXEC, 0);
    taskdir_close(&d);
    return fd;
}

void live_mark(const struct workspace *w, const struct rundir *d, const char *run_id)
{
    int marks = open_marks(w);
    if (marks >= 0)
        (void)!linkat(d->fd, ".heartbeat", marks, run_id, 0);
    fd_close(&marks);
}

void live_unmark(const struct workspace *w, const char *run_id)
{
    int marks = open_marks(w);
    if (marks >= 0)
        unlinkat(marks, run_id, 0);
    fd_close(&marks);
}

/* Under the run's lock: nobody takes it up meanwhile. */
static void sweep_run(int marks, int runs, const char *run_id)
{
    char name[NAME_MAX + 4];
    int run = openat(runs, run_id, OPEN_FOLDER), copy = -1;
    int lock = run < 0 ? -1 : run_lock(run);
    snprintf(name, sizeof name, "../%s", run_id); /* epilogue.c: for other tools */
    if (lock >= 0) {
        rundir_sweep(run);
        copy = openat(runs, name, OPEN_FOLDER);
    }
    if (copy >= 0)
        atomicfile_sweep(copy, NULL);
    if (lock >= 0 || run < 0)
        unlinkat(marks, run_id, 0);
    fd_close(&copy);
    fd_close(&lock);
    fd_close(&run);
}

void live_sweep(const struct workspace *w)
{
    struct taskdir runs;
    struct err ignored;
    int marks = open_marks(w);
    DIR *folder = marks < 0 ? NULL : fdopendir(marks);
    if (!folder) {
        fd_close(&marks);
        return;
    }
    if (taskdir_open(&runs, w->runs, w->task_id, "cli", &ignored) == 0) {
        for (const struct dirent *entry; (entry = readdir(folder));) {
            if (entry->d_name[0] != '.')
                sweep_run(marks, runs.fd, entry->d_name);
        }
        taskdir_close(&runs);
    }
    closedir(folder);
}
