/* What the program prints: results on stdout, messages on stderr, nothing unsafe on a terminal. */
#ifndef CORCH_OUTPUT_H
#define CORCH_OUTPUT_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdio.h>

enum output_format { FORMAT_TEXT, FORMAT_JSON };

/* The value of --format (NULL: text); -1: neither text nor json, said on stderr. */
int output_format(const char *command, const char *value, enum output_format *out);

/* "codex-orchestrator: …" and a newline on stderr. */
void output_message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Whether the descriptor is a terminal that takes escape sequences, and whether it wants colours. */
bool output_ansi(int fd);
bool output_coloured(int fd);

/* Whether a few bytes can be written there at once: not to a terminal that is stopped by Ctrl-S, nor to a
 * pipe that nobody reads. */
bool output_ready(int fd);

/* Prints text that may come from anywhere: control characters but newline and tab are shown as
 * \xNN, each line is begun with `indent`, and the last is ended. */
void output_safe(FILE *to, const char *indent, const char *text);

/* Prints the document on stdout, on one line unless `pretty`, and deletes it. */
void output_json(cJSON *doc, bool pretty);

/* Length of the control character at `text` (C0, DEL, or C1 as UTF-8), or 0. */
size_t output_control(const char *text);

/* Flushes stdout; -1 and a message if not all of it could be written. */
int output_end(void);

#endif
