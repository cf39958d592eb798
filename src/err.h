/* Error texts: set where the context is known, reported once, by the command line. */
#ifndef CORCH_ERR_H
#define CORCH_ERR_H

struct err {
    char text[1024]; /* one line, no newline; "" while there is no error */
};

/* Sets the text and returns -1; errno is kept. `e` may be NULL. */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": " and the text of errno behind it. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
