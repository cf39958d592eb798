/* The lines of a command's log that are no chunks: begin, end, warnings. Its worker. */
#ifndef CORCH_EVENTS_H
#define CORCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"

struct event_context {
    const char *correlation_id, *session_id, *cwd;
    const struct stage *stage;
    size_t index; /* from 1 */
    unsigned attempt;
};

/* command:start and exec:begin. Errors show in the buffer's `failed`. */
void events_begin(struct buf *b, const struct event_context *c, int64_t wall_ms);

/* exec:end and command:end. exit_code -1: none; signal NULL: none. */
void events_end(struct buf *b, const struct event_context *c, int exit_code, const char *signal,
                bool succeeded, int64_t duration_ms, int64_t wall_ms);

/* command:warning: something about the capture a reader of the log must know. */
void events_warning(struct buf *b, const struct event_context *c, const char *text,
                    int64_t wall_ms);

/* Whether a stage's session is kept: it has an id, and persist or reuse say so. */
bool session_persisted(const struct stage *stage);

#endif
