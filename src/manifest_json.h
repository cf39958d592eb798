/*
 * The manifest's JSON form as tables, private to manifest_json.c (which prints) and
 * manifest_parse.c: which member is which field and of what kind, in the order of the document.
 */
#ifndef CORCH_MANIFEST_JSON_H
#define CORCH_MANIFEST_JSON_H

#include "manifest.h"

enum member_kind {
    M_TEXT,      /* char *, never null */
    M_TEXT_NULL, /* char * or null */
    M_TITLE,     /* char *, never null; missing: the text of the member `literal` */
    M_TIME,      /* wall milliseconds, never null */
    M_TIME_NULL, /* the same or null */
    M_BOOL,
    M_STATUS,   /* enum run_status */
    M_FIXED,    /* `literal`; ignored when read */
    M_KEPT,     /* `literal`, unless `foreign` has another value */
    M_LIST,     /* struct buf of printed elements */
    M_COMMANDS, /* the whole object, as are the next four */
    M_GUARDRAIL,
    M_HANDLES,
    M_PRIVACY,
    M_SCHEDULER,
    M_STAGE_KIND, /* of a command entry, as are the next two */
    M_STAGE_STATE,
    M_EXIT_CODE
};

struct member {
    const char *key;
    enum member_kind kind;
    size_t at; /* offset in struct manifest or struct manifest_command */
    const char *literal;
};

enum { MANIFEST_MEMBERS = 37, ENTRY_MEMBERS = 12 };
extern const struct member manifest_members[MANIFEST_MEMBERS];
extern const struct member entry_members[ENTRY_MEMBERS]; /* after "index", the entry's place */

/* The member of the manifest of that name, or NULL. */
const struct member *manifest_member(const char *key);

/* The field that `m` stands for in `base`. */
static inline void *member_field(void *base, const struct member *m)
{
    return (char *)base + m->at;
}

#endif
