/* Owns the way from a cJSON item back to its place in the text. Any thread. */
#include "jsonpos.h"

#include <stdbool.h>
#include <string.h>

void json_locate(const char *text, const char *at, unsigned *line, unsigned *column)
{
    *line = *column = 1;
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += ((unsigned char)*p & 0xC0) != 0x80; /* characters, not bytes */
        }
    }
}

/* A step of the way from the root down to an item. */
struct step {
    const struct step *up;
    const cJSON *item;
    size_t index; /* among its siblings */
};

static void add_path(const struct step *s, struct buf *path)
{
    if (!s->up)
        return;
    add_path(s->up, path);
    if (cJSON_IsArray(s->up->item))
        buf_addf(path, "[%zu]", s->index);
    else
        buf_addf(path, "%s%s", s->up->up ? "." : "", s->item->string);
}

/* Finds `wanted` at or below `s`: its path, and how many items begin `before` it in the text. */
static bool find(const struct step *s, const cJSON *wanted, size_t *before, struct buf *path)
{
    if (s->item == wanted) {
        add_path(s, path);
        return true;
    }
    ++*before;
    struct step below = {s, s->item->child, 0};
    for (; below.item; below.item = below.item->next, below.index++) {
        if (find(&below, wanted, before, path))
            return true;
    }
    return false;
}

/* `p` is at the quote that opens a string; the byte behind the one that closes it. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\';
    return p < end ? p + 1 : end;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' '; /* what cJSON takes for a blank */
}

static bool is_key(const char *after, const char *end)
{
    while (after < end && is_blank(*after))
        after++;
    return after < end && *after == ':';
}

/* The value that `nth` others (containers count as well, keys don't) begin before. */
static const char *value_at(const char *p, const char *end, size_t nth)
{
    while (p < end) {
        const char *start = p;
        if (is_blank(*p) || strchr(",:]}", *p)) {
            p++;
            continue;
        }
        if (*p == '"') {
            p = skip_string(p, end);
            if (is_key(p, end))
                continue;
        } else if (*p == '{' || *p == '[') {
            p++;
        } else {
            while (p < end && !is_blank(*p) && !strchr(",]}", *p))
                p++;
        }
        if (nth-- == 0)
            return start;
    }
    return end;
}

void json_place(const struct json_text *t, const cJSON *item, struct buf *out)
{
    struct buf path = BUF_INIT;
    size_t before = 0;
    unsigned line, column;
    const struct step root = {NULL, t->root, 0};
    find(&root, item, &before, &path);
    json_locate(t->text, value_at(t->text, t->text + t->len, before), &line, &column);
    buf_addf(out, "%s:%u:%u", t->name, line, column);
    if (path.len > 0)
        buf_addf(out, ": %s", path.data);
    buf_release(&path);
}

/* Bytes of the UTF-8 character at `p`, 0 if there is none (RFC 3629: shortest form, no
 * surrogates, up to U+10FFFF). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n > left)
        return 0;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

const char *json_text_fault(const struct json_text *t, const char **at)
{
    const char *end = t->text + t->len;
    bool in_string = false;
    size_t n;
    for (const char *p = t->text; p < end; p += n) {
        *at = p;
        n = utf8_len((const unsigned char *)p, (size_t)(end - p));
        if (n == 0)
            return "not UTF-8";
        if (*p == '\0' || (in_string && (unsigned char)*p < ' '))
            return "a control character that is not escaped";
        if (in_string && *p == '\\') {
            if (end - p >= 6 && memcmp(p, "\\u0000", 6) == 0)
                return "a string can't hold \\u0000";
            n = 2; /* what is escaped is ASCII: cJSON has checked that */
        }
        in_string ^= *p == '"';
    }
    return NULL;
}
