/* Owns the reading of a command's log as events. One thread at a time. */
#include "exec_event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ndjson.h"

/* Behind the string whose opening quote is before `p`; NULL: it does not end. */
static const char *skip_string(const char *p, const char *end)
{
    const char *from = p;
    while ((p = memchr(p, '"', (size_t)(end - p)))) {
        const char *slash = p;
        while (slash > from && slash[-1] == '\\')
            slash--;
        p++;
        if ((p - 1 - slash) % 2 == 0)
            return p;
    }
    return NULL;
}

/* Behind the value at `p`: at the comma or bracket that follows it; NULL: broken. */
static const char *skip_value(const char *p, const char *end)
{
    unsigned depth = 0;
    while (p && p < end) {
        if (*p == '"') {
            p = skip_string(p + 1, end);
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == '}'))
            return p;
        depth += *p == '[' || *p == '{';
        depth -= *p == ']' || *p == '}';
        p++;
    }
    return NULL;
}

/* The member at `p`; returns behind its value, or NULL: broken. */
static const char *parse_member(struct exec_member *m, const char *p, const char *end)
{
    if (p >= end || *p != '"')
        return NULL;
    m->key = p + 1;
    p = skip_string(m->key, end);
    if (!p || *p != ':')
        return NULL;
    m->key_len = (size_t)(p - 1 - m->key);
    m->value = p + 1;
    p = skip_value(m->value, end);
    if (p)
        m->value_len = (size_t)(p - m->value);
    return p;
}

static bool is_text(const char *text, size_t n, const char *wanted)
{
    return strlen(wanted) == n && memcmp(text, wanted, n) == 0;
}

const struct exec_member *exec_line_find(const struct exec_line *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++) {
        if (is_text(l->members[i].key, l->members[i].key_len, key))
            return &l->members[i];
    }
    return NULL;
}

bool exec_line_has(const struct exec_line *l, const char *key, const char *value)
{
    const struct exec_member *m = exec_line_find(l, key);
    return m && is_text(m->value, m->value_len, value);
}

static int parse_members(struct exec_line *l, const char *p, const char *end)
{
    for (l->n = 0; l->n < EXEC_MEMBERS && p < end && *p != '}'; l->n++) {
        p = parse_member(&l->members[l->n], p + 1, end);
        if (!p)
            return -1;
    }
    return p + 1 == end ? 0 : -1;
}

void exec_line_parse(struct exec_line *l, const char *text, size_t n)
{
    static const char *const types[] = {[EXEC_BEGIN] = "\"exec:begin\"",
                                        [EXEC_CHUNK] = "\"exec:chunk\"",
                                        [EXEC_END] = "\"exec:end\""};
    l->kind = EXEC_OTHER;
    l->n = 0;
    if (n < 2 || text[0] != '{' || parse_members(l, text, text + n) != 0)
        return;
    for (enum exec_kind kind = EXEC_BEGIN; kind <= EXEC_END; kind++) {
        if (exec_line_has(l, "type", types[kind]))
            l->kind = kind;
    }
}

struct exec_log *exec_log_new(void)
{
    struct exec_log *x = malloc(sizeof *x);
    if (!x)
        return NULL;
    x->begin = x->end = NULL;
    x->tails[0].total = x->tails[1].total = 0;
    x->stream = 0;
    x->size = 0;
    return x;
}

void exec_log_free(struct exec_log *x)
{
    if (!x)
        return;
    cJSON_Delete(x->begin);
    cJSON_Delete(x->end);
    free(x);
}

/* The bytes of a chunk: those in data_base64 if there are, else its data. */
static void take_chunk(struct exec_log *x, const struct exec_line *l)
{
    const struct exec_member *binary = exec_line_find(l, "data_base64");
    const struct exec_member *m = binary ? binary : exec_line_find(l, "data");
    size_t n = (size_t)-1;
    x->stream = exec_line_has(l, "stream", "\"stderr\"") ? 2 : 1;
    if (m && m->value_len >= 2 && m->value_len <= sizeof x->bytes)
        n = binary ? ndjson_unbase64(x->bytes, m->value + 1, m->value_len - 2)
                   : ndjson_unescape(x->bytes, m->value + 1, m->value_len - 2);
    x->size = n == (size_t)-1 ? 0 : n;
    tail_add(&x->tails[x->stream - 1], x->bytes, x->size);
}

/* The whole line again, from its first member to its last. */
static cJSON *parse_line(const struct exec_line *l)
{
    const char *text = l->members[0].key - 2; /* the quote and the bracket before it */
    const struct exec_member *last = &l->members[l->n - 1];
    return cJSON_ParseWithLength(text, (size_t)(last->value + last->value_len + 1 - text));
}

int exec_log_take(struct exec_log *x, const struct exec_line *l)
{
    if (l->kind == EXEC_CHUNK)
        take_chunk(x, l);
    if (l->kind != EXEC_BEGIN && l->kind != EXEC_END)
        return 0;
    cJSON **to = l->kind == EXEC_BEGIN ? &x->begin : &x->end;
    cJSON_Delete(*to);
    errno = 0;
    *to = parse_line(l);
    if (!*to && errno != ENOMEM) /* its values were not looked at so far */
        errno = EBADMSG;
    return *to ? 0 : -1;
}

void exec_tail_print(const struct exec_log *x, int stream, struct buf *out)
{
    char flat[TAIL_BYTES];
    size_t n = tail_copy(&x->tails[stream - 1], flat);
    buf_addch(out, '"');
    char *to = buf_room(out, n * NDJSON_GROWTH);
    if (to)
        out->len += ndjson_escape_lossy(to, flat, n);
    buf_addch(out, '"');
}

/* Appends a key in camelCase, with its colon. */
static void add_key(struct buf *out, const struct exec_member *m)
{
    buf_addch(out, '"');
    for (size_t i = 0; i < m->key_len; i++) {
        char c = m->key[i];
        if (c == '_' && i + 1 < m->key_len) {
            c = m->key[++i];
            c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        buf_addch(out, c);
    }
    buf_addstr(out, "\":");
}

/* Behind `separator`, if there is such a member; returns what is to stand before the next. */
static const char *add_member(struct buf *out, const struct exec_member *m, const char *separator)
{
    if (!m)
        return separator;
    buf_addstr(out, separator);
    add_key(out, m);
    buf_add(out, m->value, m->value_len);
    return ",";
}

/* What an end tells besides its line. */
static void add_end(const struct exec_log *x, const char *separator, struct buf *out)
{
    buf_addstr(out, separator);
    buf_addstr(out, "\"stdout\":");
    exec_tail_print(x, 1, out);
    buf_addstr(out, ",\"stderr\":");
    exec_tail_print(x, 2, out);
    const char *session = json_get_str(x->begin, "session_id");
    buf_addstr(out, ",\"sandboxState\":\"sandboxed\",\"sessionId\":");
    ndjson_addstr(out, session ? session : "default");
}

static const char *add_payload(const struct exec_line *l, const struct exec_log *x,
                               const char *separator, struct buf *out)
{
    static const char *const apart[] = {"type", "correlation_id", "timestamp", "attempt", "index"};
    for (size_t i = 0; i < l->n; i++) {
        const struct exec_member *m = &l->members[i];
        bool skipped = false;
        for (size_t k = 0; k < sizeof apart / sizeof *apart; k++)
            skipped |= is_text(m->key, m->key_len, apart[k]);
        if (skipped)
            continue;
        if (l->kind == EXEC_END && is_text(m->key, m->key_len, "status")) {
            add_end(x, separator, out);
            separator = ",";
        }
        separator = add_member(out, m, separator);
    }
    return separator;
}

void exec_line_print(const struct exec_line *l, const struct exec_log *x, enum exec_form form,
                     struct buf *out)
{
    const struct exec_member *correlation = exec_line_find(l, "correlation_id"),
                             *attempt = exec_line_find(l, "attempt");
    add_member(out, exec_line_find(l, "type"), "{");
    if (form == EXEC_FORM_RECORD)
        add_member(out, correlation, ",");
    add_member(out, exec_line_find(l, "timestamp"), ",");
    const char *separator = form == EXEC_FORM_STREAM ? ",\"payload\":{" : ",";
    separator = add_member(out, attempt, separator);
    if (form == EXEC_FORM_STREAM)
        separator = add_member(out, correlation, separator);
    separator = add_payload(l, x, separator, out);
    if (separator[1]) /* nothing has opened it */
        buf_addstr(out, separator);
    buf_addstr(out, form == EXEC_FORM_STREAM ? "}}" : "}");
}
