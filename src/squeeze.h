/* JSON text brought to one line, piece by piece. Pure. */
#ifndef CORCH_SQUEEZE_H
#define CORCH_SQUEEZE_H

#include <stdbool.h>
#include <stddef.h>

/* Where in the text we are; {0} at its beginning. */
struct squeeze {
    bool in_string, escaped;
};

/* Drops the white space of bytes[0, n), the next piece of the text, that is outside of strings.
 * Returns how many bytes are left. */
size_t squeeze(struct squeeze *s, char *bytes, size_t n);

#endif
