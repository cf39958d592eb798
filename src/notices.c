/* Owns lists of remarks. One thread at a time. */
#include "notices.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void notices_add(struct notices *l, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    char **grown = realloc(l->texts, (l->n + 2) * sizeof *grown);
    if (!grown) {
        free(text);
        return;
    }
    l->texts = grown;
    l->texts[l->n++] = text;
    l->texts[l->n] = NULL;
}

void notices_release(struct notices *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->texts[i]);
    free(l->texts);
    *l = (struct notices){NULL, 0};
}
