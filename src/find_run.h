/* Where a run's folder is, by its id. Main thread. */
#ifndef CORCH_FIND_RUN_H
#define CORCH_FIND_RUN_H

#include "buf.h"
#include "err.h"
#include "rundir.h"
#include "workspace.h"

/*
 * Finds .runs/<task>/cli/<id>, else what .runs/local-mcp/<id>/manifest.json points to (a link, or a
 * document with "manifest" or "redirect_to"), else any task's cli/<id>. The folder must lie below
 * the runs folder, whatever links say. Opens it (release it with rundir_release) and appends its
 * manifest.json to `manifest`, unless that is NULL. 0, or -1 and `e` says why; then there is
 * nothing to release.
 */
int find_run(const struct workspace *w, const char *run_id, struct rundir *dir,
             struct buf *manifest, struct err *e);

#endif
