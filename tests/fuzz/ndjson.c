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

/* In pieces, each into room that ends where it was said to. */
static void check_pieces(const struct escaped *whole, const char *in, size_t n)
{
    const struct ndjson_path *path;
    size_t cap = NDJSON_GROWTH + n % 67;
    char *room = malloc(cap);
    FUZZ_NEED(room);
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        size_t at = 0, wrote = 0, used = 1;
        while (at < n && used > 0) {
            size_t put = path->escape(room, cap, in + at, n - at, &used);
            FUZZ_NEED(put <= cap && wrote + put <= whole->n && memcmp(room, whole->text + wrote, put) == 0);
            at += used;
            wrote += put;
        }
        FUZZ_NEED(at == whole->used && wrote == whole->n);
    }
    free(room);
}

/* Cut anywhere, with what is unfinished left for the next piece, it stays as valid as it was. */
static void check_cut(const char *in, size_t valid)
{
    for (size_t cut = 0; cut <= valid; cut += 1 + cut / 8) {
        size_t used, kept = cut - ndjson_unfinished(in, cut);
        struct escaped e = {.text = malloc(cut * NDJSON_GROWTH + 1)};
        FUZZ_NEED(e.text);
        e.n = ndjson_escape(e.text, cut * NDJSON_GROWTH, in, cut, &used);
        FUZZ_NEED(used == kept);
        free(e.text);
    }
}

static void check_string(const char *in, size_t n)
{
    char *text = malloc(n + 1), *clean = malloc(n * NDJSON_CLEAN_GROWTH + 1);
    struct buf b = BUF_INIT;
    FUZZ_NEED(text && clean);
    memcpy(text, in, n);
    text[n] = '\0';
    ndjson_addstr(&b, text);
    size_t length = ndjson_clean(clean, text, strlen(text));
    clean[length] = '\0';
    cJSON *doc = cJSON_ParseWithLength(b.data, b.len);
    const char *back = cJSON_GetStringValue(doc);
    FUZZ_NEED(back && strcmp(back, clean) == 0 && ndjson_is_text(clean));
    FUZZ_NEED(!ndjson_is_text(text) || strcmp(text, clean) == 0);
    cJSON_Delete(doc);
    buf_release(&b);
    free(clean);
    free(text);
}

/* It may be an escape or base64 by itself. */
static void check_noise(const char *in, size_t n)
{
    char *back = malloc(n + 1);
    FUZZ_NEED(back);
    size_t wrote = ndjson_unescape(back, in, n);
    FUZZ_NEED(wrote == (size_t)-1 || wrote <= n);
    const struct ndjson_path *path;
    size_t first = ndjson_path(0)->unbase64(back, in, n);
    for (size_t i = 1; (path = ndjson_path(i)); i++)
        FUZZ_NEED(path->unbase64(back, in, n) == first);
    free(back);
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
    check_pieces(&e, in, size);
    check_cut(in, e.used);
    check_string(in, size);
    check_noise(in, size);
    check_base64(in, size);
    free(e.text);
    return 0;
}
