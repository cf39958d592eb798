/* Owns the checked access to a configuration's JSON, and its messages. Main thread. */
#include "config_reader.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "named.h"

int reader_no_memory(struct reader *r)
{
    errno = ENOMEM;
    return err_sys(r->e, "%s", r->t.name);
}

__attribute__((format(printf, 4, 0))) static void
describe(const struct reader *r, const cJSON *item, struct err *e, const char *fmt, va_list ap)
{
    char what[sizeof e->text];
    struct buf place = BUF_INIT;
    vsnprintf(what, sizeof what, fmt, ap);
    json_place(&r->t, item, &place);
    err_set(e, "%s: %s", place.failed ? r->t.name : place.data, what);
    buf_release(&place);
}

int reader_fail(struct reader *r, const cJSON *item, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (r->e)
        describe(r, item, r->e, fmt, ap);
    va_end(ap);
    errno = EINVAL;
    return -1;
}

/* The slot behind the last warning says how many more there would be. */
static int add_warning(struct reader *r, const char *text)
{
    struct err more;
    size_t slot = r->n_warnings < CONFIG_WARNINGS ? r->n_warnings : CONFIG_WARNINGS;
    if (!r->warnings)
        r->warnings = calloc(CONFIG_WARNINGS + 2, sizeof *r->warnings);
    if (!r->warnings)
        return reader_no_memory(r);
    r->n_warnings++;
    if (slot == CONFIG_WARNINGS) {
        err_set(&more, "%s: %zu more warnings", r->t.name, r->n_warnings - CONFIG_WARNINGS);
        text = more.text;
    }
    free(r->warnings[slot]);
    r->warnings[slot] = strdup(text);
    return r->warnings[slot] ? 0 : reader_no_memory(r);
}

int reader_warn(struct reader *r, const cJSON *item, const char *fmt, ...)
{
    struct err text = {""};
    if (r->muted)
        return 0;
    if (r->n_warnings < CONFIG_WARNINGS) {
        va_list ap;
        va_start(ap, fmt);
        describe(r, item, &text, fmt, ap);
        va_end(ap);
    }
    return add_warning(r, text.text);
}

cJSON *reader_member(const cJSON *object, const char *key)
{
    cJSON *child, *found = NULL;
    cJSON_ArrayForEach(child, object)
    {
        if (strcmp(child->string, key) == 0)
            found = child;
    }
    return cJSON_IsNull(found) ? NULL : found;
}

static bool is_known(const char *const *known, const char *key)
{
    while (*known && strcmp(*known, key) != 0)
        known++;
    return *known;
}

/* All but the last member of a name are overridden, as in the original. */
static int override(struct reader *r, const struct named_list *members)
{
    for (size_t i = 1; i < members->n; i++) {
        struct named *m = &members->at[i];
        if (strcmp(m[-1].name, m->name) != 0)
            continue;
        m[-1].item->type = cJSON_Invalid;
        if (reader_warn(r, m->item, "given twice, only this one counts") != 0)
            return -1;
    }
    return 0;
}

int reader_keys(struct reader *r, cJSON *object, const char *const *known)
{
    struct named_list members = {0};
    cJSON *child;
    int result = 0;
    cJSON_ArrayForEach(child, object)
    {
        if (cJSON_IsInvalid(child))
            continue;
        if (known && !is_known(known, child->string))
            result = reader_warn(r, child, "unknown key, ignored");
        if (result == 0 && named_add(&members, child->string, child) != 0)
            result = reader_no_memory(r);
        if (result != 0)
            break;
    }
    if (result == 0) {
        named_sort(&members);
        result = override(r, &members);
    }
    named_release(&members);
    return result;
}

static int copy(struct reader *r, const cJSON *item, char **out)
{
    *out = strdup(item->valuestring);
    return *out ? 0 : reader_no_memory(r);
}

int reader_str(struct reader *r, const cJSON *object, const char *key, char **out)
{
    const cJSON *item = reader_member(object, key);
    if (!item)
        return 0;
    if (!cJSON_IsString(item))
        return reader_fail(r, item, "must be a string");
    return copy(r, item, out);
}

int reader_name(struct reader *r, const cJSON *object, const char *key, char **out)
{
    const cJSON *item = reader_member(object, key);
    if (!item)
        return reader_fail(r, object, "%s is missing", key);
    if (cJSON_IsString(item) && !*item->valuestring)
        return reader_fail(r, item, "must not be empty");
    return reader_str(r, object, key, out);
}

int reader_flag(struct reader *r, const cJSON *object, const char *key, enum flag *out)
{
    const cJSON *item = reader_member(object, key);
    if (item && !cJSON_IsBool(item))
        return reader_fail(r, item, "must be true or false");
    *out = !item ? FLAG_UNSET : cJSON_IsTrue(item) ? FLAG_TRUE : FLAG_FALSE;
    return 0;
}

int reader_bool(struct reader *r, const cJSON *object, const char *key, bool *out)
{
    enum flag flag;
    if (reader_flag(r, object, key, &flag) != 0)
        return -1;
    *out = flag == FLAG_TRUE;
    return 0;
}

int reader_number(struct reader *r, const cJSON *item, unsigned long min, unsigned long max,
                  unsigned long *out)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= (double)min && value <= (double)max) || value != floor(value))
        return reader_fail(r, item, "must be a whole number from %lu to %lu", min, max);
    *out = (unsigned long)value;
    return 0;
}

int reader_number_of(struct reader *r, const cJSON *object, const char *key, unsigned long min,
                     unsigned long max, unsigned long *out)
{
    const cJSON *item = reader_member(object, key);
    return item ? reader_number(r, item, min, max, out) : 0;
}

int reader_loose_flag(struct reader *r, const cJSON *object, const char *key, enum flag *out)
{
    const cJSON *item = reader_member(object, key);
    if (!item || cJSON_IsBool(item))
        return reader_flag(r, object, key, out);
    *out = FLAG_UNSET;
    return reader_warn(r, item, "neither true nor false, ignored");
}

int reader_loose_str(struct reader *r, const cJSON *object, const char *key, char **out)
{
    const cJSON *item = reader_member(object, key);
    return cJSON_IsString(item) ? copy(r, item, out) : 0;
}

int reader_title(struct reader *r, const cJSON *object, const char *id, char **out)
{
    if (reader_str(r, object, "title", out) != 0)
        return -1;
    if (*out && **out)
        return 0;
    free(*out);
    *out = strdup(id);
    return *out ? 0 : reader_no_memory(r);
}
