/*
 * Pieces of the lines of progress: text by the columns it takes on a terminal, sizes and durations.
 * Text is valid UTF-8.
 */
#ifndef CORCH_PROGRESS_TEXT_H
#define CORCH_PROGRESS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* How many columns it takes, or fewer. */
size_t text_columns(const char *text);

/* Appends what fits into `columns` of `text`, with "…" if that is not all. Returns the columns
 * taken. */
size_t text_add_cut(struct buf *out, const char *text, size_t columns);

/* Each begins with two blanks. */
void text_add_size(struct buf *out, uint64_t bytes);
void text_add_duration(struct buf *out, int64_t ms);

/* `text`, whatever it is, as valid UTF-8 with control characters as \xNN. free() it; NULL: out of
 * memory. */
char *text_safe(const char *text);

#endif
