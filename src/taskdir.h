/*
 * The folders of a task in which records about its runs are kept: .runs/<task>, out/<task> and
 * what is below them. The thread that drives the run.
 */
#ifndef CORCH_TASKDIR_H
#define CORCH_TASKDIR_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"

struct taskdir {
    int fd; /* -1: not open */
    char *path;
    mode_t file_mode; /* for files in it: who may read the folder may read them, only we write */
};

/* Opens <base>/<task_id>[/<sub>], making what is missing. `base` may be a link, nothing below it
 * may. 0, or -1 and `e` names the folder; then there is nothing to close. */
int taskdir_open(struct taskdir *d, const char *base, const char *task_id, const char *sub,
                 struct err *e);
void taskdir_close(struct taskdir *d); /* errno is kept */

/* Replaces file `name` by `n` bytes that could be made again (ATOMIC_DERIVED), or by a document,
 * which is deleted. 0, or -1 and `e` names the file. */
int taskdir_replace(const struct taskdir *d, const char *name, const void *bytes, size_t n,
                    struct err *e);
int taskdir_replace_json(const struct taskdir *d, const char *name, cJSON *doc, struct err *e);

#endif
