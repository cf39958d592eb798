/* Owns the making of environments for commands. Any thread; reads our own only when asked to. */
#include "environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t count(char *const *env)
{
    size_t n = 0;
    while (env && env[n])
        n++;
    return n;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

/* Whether one of the strings sets the variable that `text` sets. */
static bool sets(char *const *env, const char *text)
{
    for (; env && *env; env++) {
        if (same_name(text, *env))
            return true;
    }
    return false;
}

char **environment_merge(char *const *base, char *const *extra)
{
    size_t n = 0;
    char **merged = malloc((count(base) + count(extra) + 1) * sizeof *merged);
    if (!merged)
        return NULL;
    for (; base && *base; base++) {
        if (!sets(extra, *base))
            merged[n++] = *base;
    }
    for (; extra && *extra; extra++) {
        if (!sets(extra + 1, *extra))
            merged[n++] = *extra;
    }
    merged[n] = NULL;
    return merged;
}

static char *pair(const struct env_var *v)
{
    size_t size = strlen(v->name) + strlen(v->value) + 2;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s=%s", v->name, v->value);
    return text;
}

static bool is_set(const char *text, const struct env_var *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (same_name(text, set[i].name))
            return true;
    }
    return false;
}

char **environment_new(char *const *base, const struct env_var *set, size_t n)
{
    char **env = calloc(count(base) + n + 1, sizeof *env);
    size_t used = 0;
    bool failed = !env;
    for (size_t i = 0; !failed && base && base[i]; i++) {
        if (is_set(base[i], set, n))
            continue;
        env[used] = strdup(base[i]);
        failed = !env[used++];
    }
    for (size_t i = 0; !failed && i < n; i++) {
        env[used] = pair(&set[i]);
        failed = !env[used++];
    }
    if (failed) {
        environment_free(env);
        return NULL;
    }
    return env;
}

void environment_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}

int environment_number(const char *text, unsigned long *out)
{
    char *end;
    errno = 0;
    *out = strtoul(text, &end, 10);
    return *text < '0' || *text > '9' || *end || errno ? -1 : 0;
}

bool environment_says_yes(const char *name)
{
    static const char *const words[] = {"1", "true", "on", "yes"};
    const char *value = getenv(name);
    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(value, words[i]) == 0)
            return true;
    }
    return false;
}
