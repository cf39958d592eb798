/* The command line: words, a line each, are taken or refused with a word that names them. */
#include "options.h"

#include <string.h>

#include "fuzz.h"

enum { WORDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS + 1] = {NULL}, *text = malloc(size + 1);
    const char *jobs = NULL, *time = NULL, *positional[2];
    bool fast = false;
    int n = 0;
    FUZZ_NEED(text);
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; n < WORDS; at++) {
        words[n++] = at;
        at = strchr(at, '\n');
        if (!at)
            break;
        *at = '\0';
    }
    const struct option_spec specs[] = {{"--jobs", &jobs, NULL}, {"-j", &jobs, NULL}, {"--timeout", &time, NULL},
                                        {"--fail-fast", NULL, &fast}};
    struct options o = {.command = "start", .specs = specs, .n_specs = 4, .positional = positional, .max_positional = 2};
    struct err e = {""};
    unsigned number;
    long ms;
    if (options_parse(&o, n, words, &e) != 0)
        FUZZ_NEED(e.text[0]);
    else if (jobs && options_jobs("start", jobs, &number, &e) != 0)
        FUZZ_NEED(e.text[0]);
    else if (time && options_timeout("start", time, &ms, &e) == 0)
        FUZZ_NEED(ms >= 0);
    free(text);
    return 0;
}
