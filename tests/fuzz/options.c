/* The command line: words, each ended by a newline or a NUL, are taken or refused with a word that names
 * them. */
#include "options.h"

#include <string.h>

#include "fuzz.h"

enum { WORDS = 64 };

/* What a command has understood. */
struct words {
    const char *task, *target, *format, *jobs, *timeout;
    const char *positional[2];
    bool help, keep_going, fast;
};

static void check_values(const struct words *w)
{
    struct err e = {""};
    unsigned jobs;
    long ms;
    if (w->jobs && options_jobs("start", w->jobs, &jobs, &e) != 0)
        FUZZ_NEED(e.text[0]);
    e.text[0] = '\0';
    if (w->timeout)
        FUZZ_NEED(options_timeout("start", w->timeout, &ms, &e) == 0 ? ms > 0 : e.text[0]);
}

static void parse(int argc, char **argv)
{
    struct words w = {.task = NULL};
    struct err e = {""};
    const struct option_spec specs[] = {
        {"--task", &w.task, NULL},      {"--target", &w.target, NULL}, {"--target-stage", &w.target, NULL},
        {"--format", &w.format, NULL},  {"--help", NULL, &w.help},     {"-h", NULL, &w.help},
        {"--jobs", &w.jobs, NULL},      {"-j", &w.jobs, NULL},         {"--keep-going", NULL, &w.keep_going},
        {"--fail-fast", NULL, &w.fast}, {"--timeout", &w.timeout, NULL}};
    struct options o = {.command = "start",
                        .specs = specs,
                        .n_specs = sizeof specs / sizeof *specs,
                        .positional = w.positional,
                        .max_positional = 2};
    if (options_parse(&o, argc, argv, &e) != 0)
        FUZZ_NEED(e.text[0]);
    else
        check_values(&w);
    FUZZ_NEED(o.n_positional <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS] = {NULL}, *text = malloc(size + 1);
    int n = 0;
    FUZZ_NEED(text);
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; n < WORDS && at <= text + size; at += strlen(at) + 1) {
        at[strcspn(at, "\n")] = '\0';
        words[n++] = at;
    }
    parse(n, words);
    free(text);
    return 0;
}
