/* Many commands as one run: a pipeline that no configuration holds. Main thread; immutable once made.
 */
#ifndef CORCH_BATCH_H
#define CORCH_BATCH_H

#include "config.h"
#include "corch.h"
#include "err.h"
#include "manifest.h"

#define BATCH_PIPELINE "exec-batch"

struct batch {
    struct pipeline pipeline;
    char *cwd; /* or NULL */
};

/* One stage for each command, "line-N" by its number. NULL on failure: `e` says what is wrong with
 * which of them. */
struct batch *batch_new(const corch_batch *batch, struct err *e);
void batch_free(struct batch *b);

/* What a run's manifest does not say of its batch, in a file of its own: batch.json in the run's
 * folder. 0, or -1 with errno. */
int batch_write(const struct batch *b, int dirfd);

/* The batch of an earlier run, of its manifest and that file. NULL on failure: `e` says why. */
struct batch *batch_read(const struct manifest *m, int dirfd, struct err *e);

#endif
