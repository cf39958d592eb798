/* Owns the making of environments for commands. Any thread; reads our own only when asked to. */
#include "environment.h"

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

char **environment_merge(char *const *base, char *const *extra)
{
    size_t n = count(base);
    char **merged = malloc((n + count(extra) + 1) * sizeof *merged);
    if (!merged)
        return NULL;
    for (size_t i = 0; i < n; i++)
        merged[i] = base[i];
    for (size_t i = 0; extra && extra[i]; i++) {
        size_t at = 0;
        while (at < n && !same_name(extra[i], merged[at]))
            at++;
        merged[at] = extra[i];
        n += at == n;
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
