/*
 * Reading a configuration's JSON: members by name with their types checked, faults reported with
 * line, column and path, warnings collected. Only while a configuration is loaded; main thread.
 * Every int is 0, or -1 with the reader's err set.
 */
#ifndef CORCH_CONFIG_READER_H
#define CORCH_CONFIG_READER_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"
#include "jsonpos.h"

struct reader {
    struct json_text t;
    struct err *e;
    char **warnings;   /* NULL or NULL-terminated; whoever set up the reader takes or frees them */
    size_t n_warnings; /* also those beyond CONFIG_WARNINGS, of which only the number is told */
    bool muted;        /* what is read has been warned of already */
};

int reader_no_memory(struct reader *r);
int reader_fail(struct reader *r, const cJSON *item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int reader_warn(struct reader *r, const cJSON *item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The member of that name (the last one, if it is given twice); NULL if absent or null. */
cJSON *reader_member(const cJSON *object, const char *key);

/* Warns of members that are not `known` (a NULL-terminated list; NULL: any name will do) and of
 * those given twice. All but the last of a name become cJSON_Invalid: loops pass them over. */
int reader_keys(struct reader *r, cJSON *object, const char *const *known);

/* Member `key` of `object` into `*out`, which must be NULL (strings, to be freed) before. Absent:
 * NULL, FLAG_UNSET, false; reader_name fails then, and for an empty string. */
int reader_str(struct reader *r, const cJSON *object, const char *key, char **out);
int reader_name(struct reader *r, const cJSON *object, const char *key, char **out);
int reader_flag(struct reader *r, const cJSON *object, const char *key, enum flag *out);
int reader_bool(struct reader *r, const cJSON *object, const char *key, bool *out);

/* A whole number from `min` to `max`: of the item itself, or of a member, which leaves `*out` if it is
 * absent. */
int reader_number(struct reader *r, const cJSON *item, unsigned long min, unsigned long max,
                  unsigned long *out);
int reader_number_of(struct reader *r, const cJSON *object, const char *key, unsigned long min,
                     unsigned long max, unsigned long *out);

/* The same, but another type is no fault: a flag then is unset, with a warning, a string NULL. */
int reader_loose_flag(struct reader *r, const cJSON *object, const char *key, enum flag *out);
int reader_loose_str(struct reader *r, const cJSON *object, const char *key, char **out);

/* "title", or `id` if it is absent or empty. */
int reader_title(struct reader *r, const cJSON *object, const char *id, char **out);

#endif
