/* Owns the formatting of error texts. Any thread. */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void format(struct err *e, const char *fmt, va_list ap)
{
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    /* Names and values come from files: they must not break the line or steer a terminal. */
    for (char *p = e->text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    }
}

int err_set(struct err *e, const char *fmt, ...)
{
    int saved = errno;
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        format(e, fmt, ap);
        va_end(ap);
    }
    errno = saved;
    return -1;
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int saved = errno;
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        format(e, fmt, ap);
        va_end(ap);
        size_t used = strlen(e->text);
        char reason[128];
        snprintf(e->text + used, sizeof e->text - used, ": %s",
                 strerror_r(saved, reason, sizeof reason));
    }
    errno = saved;
    return -1;
}
