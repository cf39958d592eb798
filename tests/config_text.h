/* Configurations as texts in which the places that messages must name are marked. */
#ifndef TESTS_CONFIG_TEXT_H
#define TESTS_CONFIG_TEXT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"

/* Each '@' in a test's text marks the place behind it: it is taken out before the text is read. */
static struct {
    unsigned line, column;
} marks[16];

static inline char *unmarked(const char *text)
{
    char *plain = calloc(strlen(text) + 1, 1), *to = plain;
    unsigned line = 1, column = 1;
    size_t n = 0;
    assert_non_null(plain);
    for (; *text; text++) {
        if (*text == '@') {
            assert_true(n < sizeof marks / sizeof *marks);
            marks[n].line = line;
            marks[n++].column = column;
            continue;
        }
        *to++ = *text;
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
    }
    return plain;
}

static inline struct config parsed(const char *marked)
{
    char *text = unmarked(marked);
    struct config c;
    struct err e = {""};
    int result = config_parse(text, strlen(text), "c.json", &c, &e);
    if (result != 0)
        print_error("%s\n", e.text);
    assert_int_equal(result, 0);
    free(text);
    return c;
}

static inline void assert_message(const char *text, size_t mark, const char *message)
{
    char want[1024];
    snprintf(want, sizeof want, "c.json:%u:%u: %s", marks[mark].line, marks[mark].column, message);
    assert_string_equal(text, want);
}

/* The text is refused with that message, about what is marked. */
static inline void refused(const char *marked, const char *message)
{
    char *text = unmarked(marked);
    struct config c;
    struct err e = {""};
    errno = 0;
    assert_int_equal(config_parse(text, strlen(text), "c.json", &c, &e), -1);
    assert_message(e.text, 0, message);
    assert_int_equal(errno, EINVAL);
    free(text);
}

/* The warning at `index` is that message, about what the mark of that number marks. */
static inline void warned(const struct config *c, size_t index, size_t mark, const char *message)
{
    assert_non_null(c->warnings);
    for (size_t i = 0; i <= index; i++)
        assert_non_null(c->warnings[i]);
    assert_message(c->warnings[index], mark, message);
}

/* The text, taken as it is, is refused with exactly that message. */
static inline void refused_as_is(const char *text, size_t len, const char *message)
{
    struct config c;
    struct err e = {""};
    assert_int_equal(config_parse(text, len, "c.json", &c, &e), -1);
    assert_string_equal(e.text, message);
}

/* A pipeline "p" whose only stage is `stage`; or a command with `more` members. */
#define ONE_STAGE(stage) "{\"pipelines\":[{\"id\":\"p\",\"stages\":[" stage "]}]}"
#define COMMAND(more) ONE_STAGE("{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\"" more "}")

/* A command, and a pipeline whose only stage is a subpipeline. */
#define SET "{\"kind\":\"command\",\"id\":\"s1\",\"command\":\"1\"}"
#define P(id, sub)                                                                              \
    "{\"id\":\"" id "\",\"stages\":[{\"kind\":\"subpipeline\",\"id\":\"s\",\"pipeline\":\"" sub \
    "\"}]}"

#endif
