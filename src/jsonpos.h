/*
 * Where something stands in a JSON text, for messages: cJSON keeps no positions, so each call scans
 * the text again. Also what cJSON lets pass and we don't. Pure functions, any thread.
 */
#ifndef CORCH_JSONPOS_H
#define CORCH_JSONPOS_H

#include <cJSON.h>
#include <stddef.h>

#include "buf.h"

struct json_text {
    const char *name; /* of the file, for messages */
    const char *text; /* without a byte order mark */
    size_t len;
    const cJSON *root; /* what cJSON made of the text: nothing added, removed or moved */
};

/* Line, and column in characters, both from 1, of the byte at `at` within or just behind `text`. */
void json_locate(const char *text, const char *at, unsigned *line, unsigned *column);

/* Appends "name:line:column: path" of `item`, which lies in t->root; for the root itself, which
 * has no path, "name:line:column". Example: config.json:12:18: pipelines[0].stages[2].command */
void json_place(const struct json_text *t, const cJSON *item, struct buf *out);

/* The first fault of the text (which cJSON accepted) that would lose or corrupt data later: a NUL,
 * an unescaped control character in a string, bytes that are not UTF-8. Its description, and
 * `*at`; NULL if there is none. */
const char *json_text_fault(const struct json_text *t, const char **at);

#endif
