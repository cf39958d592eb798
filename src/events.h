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

/* How a command, or an attempt of it, ended. */
struct event_end {
    int exit_code;      /* -1: none */
    const char *signal; /* NULL: none */
    int64_t duration_ms;
    bool timed_out; /* said only if so */
};

/* command:start once for a command, then exec:begin and exec:end for each attempt, exec:retry in
 * between, and command:end once. Errors show in the buffer's `failed`. */
void events_start(struct buf *b, const struct event_context *c, int64_t wall_ms);
void events_begin(struct buf *b, const struct event_context *c, int64_t wall_ms);
void events_end(struct buf *b, const struct event_context *c, const struct event_end *end,
                bool succeeded, int64_t wall_ms);
void events_retry(struct buf *b, const struct event_context *c, const char *why, int64_t delay_ms,
                  int64_t wall_ms);
void events_ended(struct buf *b, const struct event_context *c, const struct event_end *end,
                  int64_t wall_ms);

/* command:warning: something about the capture a reader of the log must know. */
void events_warning(struct buf *b, const struct event_context *c, const char *text,
                    int64_t wall_ms);

/* Whether a stage's session is kept: it has an id, and persist or reuse say so. */
bool session_persisted(const struct stage *stage);

#endif
