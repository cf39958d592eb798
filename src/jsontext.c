/* Owns nothing: text into its caller's buffer. Any thread. */
#include "jsontext.h"

#include "clock.h"
#include "ndjson.h"

static bool is_first(const struct buf *b)
{
    char last = b->len > 0 ? b->data[b->len - 1] : '[';
    return last == '{' || last == '[' || last == '\n';
}

static void begin(struct buf *b, const char *key)
{
    if (!is_first(b))
        buf_addch(b, ',');
    if (!key)
        return;
    ndjson_addstr(b, key);
    buf_addch(b, ':');
}

void jsontext_str(struct buf *b, const char *key, const char *value)
{
    begin(b, key);
    if (value)
        ndjson_addstr(b, value);
    else
        buf_add(b, "null", 4);
}

void jsontext_u64(struct buf *b, const char *key, uint64_t value)
{
    char digits[20];
    begin(b, key);
    buf_add(b, digits, ndjson_u64(digits, value));
}

void jsontext_bool(struct buf *b, const char *key, bool value)
{
    begin(b, key);
    buf_add(b, value ? "true" : "false", value ? 4 : 5);
}

void jsontext_time(struct buf *b, const char *key, int64_t wall_ms)
{
    char text[CLOCK_ISO_LEN + 1];
    if (wall_ms != CLOCK_NEVER)
        clock_iso(wall_ms, text);
    jsontext_str(b, key, wall_ms != CLOCK_NEVER ? text : NULL);
}

void jsontext_open(struct buf *b, const char *key, char bracket)
{
    begin(b, key);
    buf_addch(b, bracket);
}

void jsontext_close(struct buf *b, char bracket)
{
    buf_addch(b, bracket);
}

void jsontext_line(struct buf *b)
{
    buf_addstr(b, is_first(b) ? "\n" : ",\n");
}
