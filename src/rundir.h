/* A run's folder: made with tight modes, addressed by descriptor, and the pointers to it. */
#ifndef CORCH_RUNDIR_H
#define CORCH_RUNDIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "workspace.h"

struct rundir {
    int fd;     /* .runs/<task>/cli/<run> */
    char *path; /* absolute */
    char *rel;  /* as seen from the repository root */
};

/* Creates the folder (0700) with commands/ and errors/, the resume token (0600), the heartbeat and
 * the compatibility pointers mcp/<run>/manifest.json and local-mcp/<run>/manifest.json.
 * 0, or -1 and `e` names the folder; what was created stays for whoever looks into it. */
int rundir_create(struct rundir *d, const struct workspace *w, const char *run_id,
                  const char *token, int64_t now_ms, struct err *e);
/* Removes the temporary files from the folder of a run that nobody works on. How many, or -1 with errno. */
int rundir_sweep(int dirfd);

void rundir_release(struct rundir *d); /* closes and frees; the folder stays */

/* Makes folder `path` and its missing parents (0777 & ~umask); existing is fine, a link or a
 * file in its place is not (a parent may be a link). 0, or -1 with errno. */
int make_folders(const char *path);

/* Opens a folder for use as a dirfd, no link followed at its last component. -1 with errno. */
int open_folder(const char *path);

/* Opens a file below a run's folder, "name" or "folder/name", without following a link at either. Flags
 * and mode as of open(2). A descriptor, or -1 with errno. */
int rundir_open(int dirfd, const char *path, int flags, mode_t mode);

/* "<folder>/<NN>-<slug>.<ext>": the name of a command's file below the run folder; index from 1. */
void rundir_command_file(char *out, size_t size, const char *folder, size_t index, const char *id,
                         const char *ext);

#endif
