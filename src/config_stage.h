/* One stage of a configuration, read and released. Only while it is loaded; main thread. */
#ifndef CORCH_CONFIG_STAGE_H
#define CORCH_CONFIG_STAGE_H

#include "config.h"
#include "config_reader.h"

/* What an element of "stages" can be: a stage, or a reference to a stage set. */
enum entry_kind { ENTRY_COMMAND, ENTRY_SUBPIPELINE, ENTRY_REF };

/* 0, or -1 with the reader's err set if `entry` is no object or of no known kind. */
int stage_read_kind(struct reader *r, const cJSON *entry, enum entry_kind *out);

/* Reads an entry of that kind, which is no reference, into `*s`, all zero before. 0, or -1 with
 * the reader's err set; stage_release is due in both cases. */
int stage_read(struct reader *r, cJSON *entry, enum entry_kind kind, struct stage *s);
void stage_release(struct stage *s);

/* A command that no configuration has: nothing is asked for. */
void stage_init(struct stage *s);

void strings_free(char **list); /* NULL or NULL-terminated, with all its strings */

#endif
