/*
 * JSON text straight into a buffer, for documents with thousands of members, where a tree would cost
 * more than all else. A comma goes before whatever does not come first; the caller sees to it that
 * what is opened is closed. A buffer without memory says so itself. Any thread.
 */
#ifndef CORCH_JSONTEXT_H
#define CORCH_JSONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* Members of an object, or with a NULL key elements of an array. What is not UTF-8 becomes U+FFFD. */
void jsontext_str(struct buf *b, const char *key, const char *value); /* NULL: null */
void jsontext_u64(struct buf *b, const char *key, uint64_t value);
void jsontext_bool(struct buf *b, const char *key, bool value);
void jsontext_time(struct buf *b, const char *key, int64_t wall_ms); /* CLOCK_NEVER: null */

void jsontext_open(struct buf *b, const char *key, char bracket); /* '{' or '[' */
void jsontext_close(struct buf *b, char bracket);                 /* '}' or ']' */

/* What follows begins on a line of its own. */
void jsontext_line(struct buf *b);

#endif
