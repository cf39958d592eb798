/* Owns the use of cJSON: building, printing, parsing, reading files. Any thread. */
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "fd.h"
#include "jsonpos.h"

#define EXACT_DOUBLE (INT64_C(1) << 53) /* integers below survive a double */
#define EXACT_PRINT \
    INT64_C(1000000000000000) /* and these, of 15 digits, cJSON's printing as well */

static _Thread_local bool out_of_memory;

static cJSON *made(cJSON *item)
{
    if (!item)
        out_of_memory = true;
    return item;
}

cJSON *json_new(void)
{
    return made(cJSON_CreateObject());
}

void json_add(cJSON *parent, const char *key, cJSON *child)
{
    if (!made(child))
        return;
    bool added = parent && (key ? cJSON_AddItemToObject(parent, key, child)
                                : cJSON_AddItemToArray(parent, child));
    if (!added) {
        out_of_memory = true;
        cJSON_Delete(child);
    }
}

static cJSON *attach(cJSON *parent, const char *key, cJSON *child)
{
    bool was = out_of_memory;
    out_of_memory = false;
    json_add(parent, key, child);
    cJSON *result = out_of_memory ? NULL : child;
    out_of_memory |= was;
    return result;
}

cJSON *json_object(cJSON *parent, const char *key)
{
    return attach(parent, key, cJSON_CreateObject());
}

cJSON *json_array(cJSON *parent, const char *key)
{
    return attach(parent, key, cJSON_CreateArray());
}

cJSON *json_element(cJSON *array)
{
    return attach(array, NULL, cJSON_CreateObject());
}

void json_str(cJSON *parent, const char *key, const char *value)
{
    json_add(parent, key, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

void json_int(cJSON *parent, const char *key, int64_t value)
{
    char raw[24];
    if (value > -EXACT_PRINT && value < EXACT_PRINT) {
        json_add(parent, key, cJSON_CreateNumber((double)value));
        return;
    }
    snprintf(raw, sizeof raw, "%" PRId64, value);
    json_add(parent, key, cJSON_CreateRaw(raw));
}

void json_num(cJSON *parent, const char *key, double value)
{
    json_add(parent, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

void json_bool(cJSON *parent, const char *key, bool value)
{
    json_add(parent, key, cJSON_CreateBool(value));
}

void json_null(cJSON *parent, const char *key)
{
    json_add(parent, key, cJSON_CreateNull());
}

void json_time(cJSON *parent, const char *key, int64_t wall_ms)
{
    char text[CLOCK_ISO_LEN + 1];
    if (wall_ms != CLOCK_NEVER)
        clock_iso(wall_ms, text);
    json_str(parent, key, wall_ms == CLOCK_NEVER ? NULL : text);
}

/* cJSON indents with tabs and puts one after the colon; people and diffs expect two blanks. */
static void reindent(const char *text, struct buf *out)
{
    bool in_string = false, line_start = true;
    for (const char *p = text; *p; p++) {
        if (in_string) {
            const char *end = p + strcspn(p, "\\\"");
            buf_add(out, p, (size_t)(end - p));
            if (*end == '\\') {
                buf_add(out, end, 2);
                end++;
            } else if (*end) {
                buf_addch(out, *end);
                in_string = false;
            }
            p = *end ? end : end - 1;
            continue;
        }
        if (*p == '\t') {
            buf_addstr(out, line_start ? "  " : " ");
            continue;
        }
        line_start = *p == '\n';
        in_string = *p == '"';
        buf_addch(out, *p);
        if (*p == '{' && p[1 + strspn(p + 1, "\n\t")] == '}')
            p += strspn(p + 1, "\n\t"); /* an object without members */
    }
}

int json_print(const cJSON *doc, bool pretty, struct buf *out)
{
    char *text =
        doc && !out_of_memory ? (pretty ? cJSON_Print(doc) : cJSON_PrintUnformatted(doc)) : NULL;
    out_of_memory = false;
    if (!text) {
        errno = ENOMEM;
        return -1;
    }
    if (pretty)
        reindent(text, out);
    else
        buf_addstr(out, text);
    cJSON_free(text);
    if (out->failed) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

const char *json_get_str(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

double json_get_num(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

int64_t json_get_int(const cJSON *object, const char *key, int64_t fallback)
{
    double value = json_get_num(object, key, (double)NAN);
    if (!(value > -(double)EXACT_DOUBLE && value < (double)EXACT_DOUBLE))
        return fallback;
    return (int64_t)value;
}

bool json_get_bool(const cJSON *object, const char *key, bool fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

cJSON *json_parse(const char *text, size_t len, const char *name, struct err *e)
{
    const char *stop = text;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        stop = text + 3; /* a byte order mark is no part of the document */
    const char *begin = stop;
    cJSON *doc = cJSON_ParseWithLengthOpts(begin, len - (size_t)(begin - text), &stop, false);
    const char *why = doc ? " (more text after the document)" : "";
    if (doc) {
        while (stop < text + len && strchr(" \t\r\n", *stop) && *stop)
            stop++;
        if (stop == text + len)
            return doc;
        cJSON_Delete(doc);
    }
    unsigned line, column;
    json_locate(begin, stop ? stop : begin, &line, &column);
    err_set(e, "%s:%u:%u: not valid JSON%s", name, line, column, why);
    errno = EINVAL;
    return NULL;
}

/* To the end of the file, which may be somewhere else than its size said. */
static int read_all(int fd, size_t size, struct buf *out)
{
    for (size_t room = size + 1;; room = 64 * 1024) {
        char *to =
            out->len <= JSON_FILE_BYTES && size <= JSON_FILE_BYTES ? buf_room(out, room) : NULL;
        if (!to) {
            errno = out->failed ? ENOMEM : EFBIG;
            return -1;
        }
        ssize_t n = read(fd, to, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (n == 0)
            return 0;
    }
}

int json_slurp(int dirfd, const char *path, bool follow, struct buf *out)
{
    /* O_NONBLOCK: a FIFO planted in place of the file must not hold us. */
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return -1;
    struct stat st;
    int result = fstat(fd, &st);
    if (result == 0 && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        result = -1;
    }
    if (result == 0)
        result = read_all(fd, (size_t)st.st_size, out);
    fd_close(&fd);
    return result;
}
