/*
 * The log of a single command as `exec` shows it: its exec:* lines taken apart, kept as far as the
 * record needs them, and printed as events with camelCase members. Memory is bounded by the lines
 * and the tails, not by the log. One thread at a time.
 */
#ifndef CORCH_EXEC_EVENT_H
#define CORCH_EXEC_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "bounds.h"
#include "buf.h"
#include "chunk.h"
#include "json.h"

enum exec_kind { EXEC_OTHER, EXEC_BEGIN, EXEC_CHUNK, EXEC_END };

enum { EXEC_MEMBERS = 16 };

/* A line taken apart; its members are spans of the line: keys without quotes, values as written. */
struct exec_line {
    enum exec_kind kind;
    struct exec_member {
        const char *key, *value;
        size_t key_len, value_len;
    } members[EXEC_MEMBERS];
    size_t n;
};

/* What is known of a command from the lines taken so far. */
struct exec_log {
    cJSON *begin, *end;   /* the lines of those kinds, or NULL */
    struct tail tails[2]; /* of stdout and stderr */
    int stream;           /* of the last chunk: 1 stdout, 2 stderr */
    size_t size;          /* and its exact bytes */
    char bytes[CHUNK_BYTES];
};

/* Takes text[0, n) apart, followed by a NUL. What is no exec:* line, or broken, is EXEC_OTHER. */
void exec_line_parse(struct exec_line *l, const char *text, size_t n);

/* The member of that key; NULL: there is none. Also of lines that are EXEC_OTHER, unless broken. */
const struct exec_member *exec_line_find(const struct exec_line *l, const char *key);

/* Whether it has that value, as written: "\"stderr\"". */
bool exec_line_has(const struct exec_line *l, const char *key, const char *value);

struct exec_log *exec_log_new(void); /* NULL: out of memory */
void exec_log_free(struct exec_log *x);

/* Takes the next line of the log into account. 0, or -1 (ENOMEM; EBADMSG: it is not JSON). */
int exec_log_take(struct exec_log *x, const struct exec_line *l);

enum exec_form {
    EXEC_FORM_RECORD, /* as in toolRun.events of the record */
    EXEC_FORM_STREAM  /* as a line of --jsonl: all but type and timestamp is in "payload" */
};

/* Appends a line that is not EXEC_OTHER as an event, in one line. An end has the tails with it. */
void exec_line_print(const struct exec_line *l, const struct exec_log *x, enum exec_form form,
                     struct buf *out);

/* Appends the tail of a stream (1 or 2) as a JSON string; what is not UTF-8 is U+FFFD. */
void exec_tail_print(const struct exec_log *x, int stream, struct buf *out);

#endif
