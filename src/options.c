/* Owns the reading of command lines. Main thread. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "corch.h"
#include "environment.h"

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance; words of options are short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= sizeof row / sizeof *row)
        return n;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; *a; i++, a++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (*a != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *nearest_word(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2; /* a slip, not another word */
    for (; *names; names++) {
        size_t d = distance(word, *names);
        if (d < least) {
            least = d;
            best = *names;
        }
    }
    return best;
}

static int unknown(const struct options *o, const char *word, size_t len, struct err *e)
{
    const char *names[32] = {NULL};
    for (size_t i = 0; i < o->n_specs && i + 1 < sizeof names / sizeof *names; i++)
        names[i] = o->specs[i].name;
    char name[64] = "";
    strncat(name, word, len < sizeof name - 1 ? len : sizeof name - 1);
    const char *near = nearest_word(name, names);
    return err_set(e, "Unknown %s option: %.*s%s%s%s", o->command, (int)len, word,
                   near ? "; did you mean " : "", near ? near : "",
                   near ? "?" : ". See: codex-orchestrator help");
}

static const struct option_spec *find(const struct options *o, const char *word, size_t len)
{
    for (size_t i = 0; i < o->n_specs; i++) {
        if (strlen(o->specs[i].name) == len && strncmp(o->specs[i].name, word, len) == 0)
            return &o->specs[i];
    }
    return NULL;
}

static int take_positional(struct options *o, const char *word, struct err *e)
{
    if (o->n_positional == o->max_positional)
        return err_set(e, "%s: unexpected argument '%s'", o->command, word);
    o->positional[o->n_positional++] = word;
    return 0;
}

/* Takes the option at argv[*i], and its value. */
static int take_option(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *word = argv[*i];
    size_t len = strcspn(word, "=");
    const struct option_spec *spec = find(o, word, len);
    if (!spec && word[1] != '-' && word[2] && (spec = find(o, word, 2)) && spec->value) {
        *spec->value = word + 2; /* -j2 */
        return 0;
    }
    if (!spec || strlen(spec->name) != len)
        return unknown(o, word, len, e);
    if (spec->flag) {
        *spec->flag = true;
        return word[len] ? err_set(e, "%s: option %s takes no value", o->command, spec->name) : 0;
    }
    if (word[len])
        *spec->value = word + len + 1;
    else if (*i + 1 < argc)
        *spec->value = argv[++*i];
    else
        return err_set(e, "%s: option %s needs a value", o->command, spec->name);
    return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    o->n_positional = 0;
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        int rc = 0;
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            rc = take_option(o, argc, argv, &i, e);
        else
            rc = take_positional(o, argv[i], e);
        if (rc != 0)
            return -1;
    }
    return 0;
}

int options_jobs(const char *command, const char *text, unsigned *out, struct err *e)
{
    unsigned long n;
    if (environment_number(text, &n) != 0 || n > JOBS_MAX)
        return err_set(e, "%s: --jobs must be a number from 0 to %d, not '%s'", command, JOBS_MAX,
                       text);
    *out = n == 0 ? CORCH_JOBS_CORES : (unsigned)n;
    return 0;
}

int options_timeout(const char *command, const char *text, long *out, struct err *e)
{
    char *end = NULL;
    double seconds = *text >= '0' && *text <= '9' ? strtod(text, &end) : 0;
    if (!end || *end || !(seconds >= 0.001 && seconds <= TIMEOUT_MAX_SECONDS))
        return err_set(e, "%s: --timeout must be a number of seconds from 0.001 to %d, not '%s'",
                       command, TIMEOUT_MAX_SECONDS, text);
    *out = (long)(seconds * 1000 + 0.5);
    return 0;
}
