/* The request to run a single command: a pipeline of one stage that no configuration holds. Main
 * thread; immutable once made. */
#ifndef CORCH_EXEC_REQUEST_H
#define CORCH_EXEC_REQUEST_H

#include "config.h"
#include "err.h"

struct exec_request {
    struct pipeline pipeline; /* "exec", with the stage as its only one */
    struct stage stage;
    char **argv;              /* NULL-terminated */
    unsigned long max_chunks; /* chunk events in the record; 0: all */
    int grown_fd;             /* an eventfd that is signalled when the run's log has grown */
};

/* A request to run argv (NULL-terminated), quoted for the shell, in `cwd` (NULL: the root), for at most
 * `timeout_ms` (0: any time). Reads
 * CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS. NULL on failure: `e` says what is wrong with what. */
struct exec_request *exec_request_new(const char *const *argv, const char *cwd, int64_t timeout_ms,
                                      struct err *e);
void exec_request_free(struct exec_request *x);

#endif
