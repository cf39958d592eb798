/* Identifiers: made, checked before they become path names, and turned into file names. */
#ifndef CORCH_IDS_H
#define CORCH_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define ID_UUID_LEN ((size_t)36)
#define ID_RUN_LEN ((size_t)33) /* 2026-11-22T17-08-00-123Z-0a1b2c3d */
#define ID_TOKEN_LEN ((size_t)64)
#define ID_SLUG_MAX ((size_t)80)
#define ID_RANDOM_BYTES ((size_t)256) /* that a thread asks the kernel for at once */

/* Random (version 4) UUID, RFC 4122. The process ends if the kernel gives no random bytes. */
void id_uuid(char out[ID_UUID_LEN + 1]);

/* Run id: the time with dashes for ':' and '.', and 8 random hex digits. */
void id_run(int64_t wall_ms, char out[ID_RUN_LEN + 1]);

/* 32 random bytes as hex. */
void id_token(char out[ID_TOKEN_LEN + 1]);

/* `n` random hex digits and a NUL, for unique temporary names. */
void id_hex(char *out, size_t n);

/* 0 if `value` is a safe "task" or "run" id (`kind`): not empty, no control characters, none of
 * <>:"|?* / \, no leading dot, no trailing dot or blank, no device name of Windows; at most 200
 * bytes. Else -1 and `e` says: Invalid <kind> ID "…": why. The rules are the original's. */
int id_check(const char *kind, const char *value, struct err *e);

/* A stage id as part of a file name: runs of anything but ASCII letters and digits become one
 * '-', none at either end, at most ID_SLUG_MAX bytes; "command" if nothing is left. */
void id_slug(const char *value, char out[ID_SLUG_MAX + 1]);

#endif
