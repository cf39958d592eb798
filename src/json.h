/*
 * cJSON with the few conveniences we need. Not for the path of a chunk: that is ndjson.h.
 * Additions that run out of memory are remembered per thread; json_print reports them.
 */
#ifndef CORCH_JSON_H
#define CORCH_JSON_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

cJSON *json_new(void);                                  /* an object; NULL only when out of memory */
cJSON *json_object(cJSON *parent, const char *key);     /* a new object in `parent` */
cJSON *json_array(cJSON *parent, const char *key);      /* a new array in `parent` */
cJSON *json_element(cJSON *array);                      /* a new object at the array's end */
void json_add(cJSON *parent, const char *key, cJSON *child); /* takes `child`; key NULL: array */
void json_str(cJSON *parent, const char *key, const char *value); /* NULL: null; key NULL: array */
void json_int(cJSON *parent, const char *key, int64_t value);     /* exact in all 64 bits */
void json_num(cJSON *parent, const char *key, double value);      /* not finite: null */
void json_bool(cJSON *parent, const char *key, bool value);
void json_null(cJSON *parent, const char *key);
void json_time(cJSON *parent, const char *key, int64_t wall_ms); /* CLOCK_NEVER: null */

/* Appends the document to `out`, pretty with two blanks a level or on one line. Returns 0, or -1
 * (ENOMEM) if this or any addition on this thread since the last print ran out of memory. */
int json_print(const cJSON *doc, bool pretty, struct buf *out);

/* Members of an object, by exact name; NULL, or the fallback, if absent or of another type. */
const char *json_get_str(const cJSON *object, const char *key);
int64_t json_get_int(const cJSON *object, const char *key, int64_t fallback);
double json_get_num(const cJSON *object, const char *key, double fallback);
bool json_get_bool(const cJSON *object, const char *key, bool fallback);

/* Parses `text`; on failure NULL, and `e` says "name:line:column: …". The caller deletes it. */
cJSON *json_parse(const char *text, size_t len, const char *name, struct err *e);

/* Reads all of a regular file below `dirfd` (O_NOFOLLOW unless `follow`). 0, or -1 with errno. */
int json_slurp(int dirfd, const char *path, bool follow, struct buf *out);

#endif
