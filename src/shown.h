/*
 * What a command prints, as it is shown: whole lines, each behind a prefix, harmless to a terminal.
 * No descriptor, no clock. One thread.
 */
#ifndef CORCH_SHOWN_H
#define CORCH_SHOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* How it is shown; what it is for may change from one call to the next. */
struct shown_style {
    const char *prefix; /* before each line; NULL: none, and long lines stay in one piece */
    bool terminal;      /* control characters but tab are shown as \xNN, as is what is not UTF-8,
                           and a CR before a newline is dropped; otherwise all bytes stay */
    bool colours;       /* of a terminal: SGR sequences may pass */
};

/* One stream of a command; {0} at its beginning. */
struct shown {
    struct buf rest; /* of the line that is not finished; at the most SHOWN_LINE_BYTES */
    bool open;       /* something of it was shown without a newline */
};

/* Appends to `out` what bytes[0, n), the stream's next ones, allow to be shown. */
void shown_add(struct shown *s, const struct shown_style *style, const char *bytes, size_t n,
               struct buf *out);

/* Nothing follows for now: an unfinished line is ended. Memory is given back. */
void shown_end(struct shown *s, const struct shown_style *style, struct buf *out);

/* Appends text[0, n) as a terminal may have it, in one line. */
void shown_safe(const char *text, size_t n, bool colours, struct buf *out);

#endif
