/* Remarks for a person, gathered where they arise, printed by the command line. One thread. */
#ifndef CORCH_NOTICES_H
#define CORCH_NOTICES_H

#include <stddef.h>

struct notices {
    char **texts; /* NULL, or NULL-terminated */
    size_t n;
};

/* Adds a copy; without memory the remark is dropped. */
void notices_add(struct notices *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void notices_release(struct notices *l);

#endif
