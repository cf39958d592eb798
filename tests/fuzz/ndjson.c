/* Output as JSON strings: what is escaped comes back, by a parser and by our own undoing, on each path. */
#include "ndjson.h"

#include <cJSON.h>
#include <string.h>

#include "fuzz.h"
#include "ndjson_path.h"

struct escaped {
    char *text;
    size_t n, used;
};

static struct escaped escape(const struct ndjson_path *path, const char *in, size_t n)
{
    struct escaped e = {.text = malloc(n * NDJSON_GROWTH + 64)};
    FUZZ_NEED(e.text);
    e.n = path->escape(e.text, n * NDJSON_GROWTH + 64, in, n, &e.used);
    return e;
}

/* A NUL can't be in a string of cJSON. */
static void check_parser(const struct escaped *e, const char *in)
{
    if (memchr(in, '\0', e->used))
        return;
    char *text = malloc(e->n + 3);
    FUZZ_NEED(text);
    text[0] = '"';
    memcpy(text + 1, e->text, e->n);
    text[e->n + 1] = '"';
    cJSON *doc = cJSON_ParseWithLength(text, e->n + 2);
    const char *back = cJSON_GetStringValue(doc);
    FUZZ_NEED(back && strlen(back) == e->used && memcmp(back, in, e->used) == 0);
    cJSON_Delete(doc);
    free(text);
}

static void check_undo(const struct escaped *e, const char *in)
{
    char *back = malloc(e->n + 1);
    FUZZ_NEED(back);
    FUZZ_NEED(ndjson_unescape(back, e->text, e->n) == e->used && memcmp(back, in, e->used) == 0);
    free(back);
}

static void check_paths(const struct escaped *first, const char *in, size_t n)
{
    const struct ndjson_path *path;
    for (size_t i = 1; (path = ndjson_path(i)); i++) {
        struct escaped e = escape(path, in, n);
        FUZZ_NEED(e.n == first->n && e.used == first->used && memcmp(e.text, first->text, e.n) == 0);
        free(e.text);
    }
}

static void check_lossy(const char *in, size_t n)
{
    char *first = malloc(n * NDJSON_GROWTH + 1), *other = malloc(n * NDJSON_GROWTH + 1);
    FUZZ_NEED(first && other);
    size_t wrote = ndjson_path(0)->escape_lossy(first, in, n), used;
    const struct ndjson_path *path;
    for (size_t i = 1; (path = ndjson_path(i)); i++) {
        FUZZ_NEED(path->escape_lossy(other, in, n) == wrote && memcmp(first, other, wrote) == 0);
    }
    char *again = malloc(wrote * NDJSON_GROWTH + 64);
    FUZZ_NEED(again);
    ndjson_path(0)->escape(again, wrote * NDJSON_GROWTH + 64, first, wrote, &used);
    FUZZ_NEED(used == wrote); /* it is UTF-8, whatever it was */
    free(again);
    free(first);
    free(other);
}

static void check_base64(const char *in, size_t n)
{
    size_t size = (n + 2) / 3 * 4;
    char *text = malloc(size + 1), *back = malloc(size / 4 * 3 + 1);
    FUZZ_NEED(text && back && ndjson_base64(text, in, n) == size);
    FUZZ_NEED(ndjson_unbase64(back, text, size) == n && memcmp(back, in, n) == 0);
    free(text);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = (const char *)data;
    struct escaped e = escape(ndjson_path(0), in, size);
    check_parser(&e, in);
    check_undo(&e, in);
    check_paths(&e, in, size);
    check_lossy(in, size);
    check_base64(in, size);
    free(e.text);
    return 0;
}
