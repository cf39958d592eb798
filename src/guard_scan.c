/*
 * Owns the compiled privacy rules, and the part of Hyperscan that runs them. Loading happens
 * once, in whichever worker comes first; a guard_scan belongs to one worker.
 */
#include "guard_scan.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <hs.h>

#define LIBRARY "libhs_runtime.so.5" /* without the compiler, which is most of it */
static_assert(HS_MAJOR == 5, "the name of the library and its interface belong together");

/* The compiled rules, serialized: made by tools/guard_rules.c. */
static const char compiled[] = {
#include "guard_rules.inc"
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
    hs_database_t *rules; /* NULL: loading failed, see `failure` */
    struct err failure;
    __typeof__(hs_deserialize_database) *deserialize_database;
    __typeof__(hs_alloc_scratch) *alloc_scratch;
    __typeof__(hs_free_scratch) *free_scratch;
    __typeof__(hs_open_stream) *open_stream;
    __typeof__(hs_reset_stream) *reset_stream;
    __typeof__(hs_close_stream) *close_stream;
    __typeof__(hs_scan_stream) *scan_stream;
} hs;

static int find_functions(void *library)
{
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"hs_deserialize_database", &hs.deserialize_database},
        {"hs_alloc_scratch", &hs.alloc_scratch},
        {"hs_free_scratch", &hs.free_scratch},
        {"hs_open_stream", &hs.open_stream},
        {"hs_reset_stream", &hs.reset_stream},
        {"hs_close_stream", &hs.close_stream},
        {"hs_scan_stream", &hs.scan_stream},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function)
            return err_set(&hs.failure, "privacy guard: %s", dlerror());
        memcpy(functions[i].place, &function, sizeof function);
    }
    return 0;
}

static void take_rules(void)
{
    int rc = hs.deserialize_database(compiled, sizeof compiled, &hs.rules);
    if (rc == HS_SUCCESS)
        return;
    hs.rules = NULL;
    err_set(&hs.failure,
            "privacy guard: " LIBRARY " does not take the rules that were compiled with Hyperscan "
            "%d.%d.%d (error %d); build the program anew",
            HS_MAJOR, HS_MINOR, HS_PATCH, rc);
}

/* The library and the rules stay until the process ends. */
static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        err_set(&hs.failure,
                "privacy guard: can't load Hyperscan (package libhyperscan5 or libvectorscan5): %s",
                dlerror());
    else if (find_functions(library) == 0)
        take_rules();
}

int guard_scan_open(struct guard_scan *s, struct err *e)
{
    pthread_once(&once, load);
    if (!hs.rules)
        return err_set(e, "%s", hs.failure.text);
    if (hs.alloc_scratch(hs.rules, &s->scratch) != HS_SUCCESS ||
        hs.open_stream(hs.rules, 0, &s->stream) != HS_SUCCESS) {
        guard_scan_close(s);
        return err_set(e, "privacy guard: out of memory");
    }
    return 0;
}

void guard_scan_close(struct guard_scan *s)
{
    if (s->stream)
        hs.close_stream(s->stream, NULL, NULL, NULL); /* no callback: no matches, no scratch */
    if (s->scratch)
        hs.free_scratch(s->scratch);
    s->stream = NULL;
    s->scratch = NULL;
}

void guard_scan_reset(struct guard_scan *s)
{
    if (!s->stream)
        return;
    hs.reset_stream(s->stream, 0, NULL, NULL, NULL);
    s->base = s->len = 0;
    s->failed = false;
    if (s->marked > 0)
        memset(s->marks, 0, sizeof s->marks);
    s->marked = 0;
}

/* Matches come in any order, and the same one may come twice; marks don't mind. */
static int mark(unsigned id, unsigned long long from, unsigned long long to, unsigned none,
                void *context)
{
    (void)from, (void)none;
    struct guard_scan *s = context;
    if (to <= s->base || to > s->base + s->len)
        return -1; /* ends the scan with an error: a match that has no place must not be lost */
    unsigned char *m = &s->marks[to - s->base - 1];
    s->marked += *m == 0;
    *m |= (unsigned char)id;
    return 0;
}

int guard_scan(struct guard_scan *s, const char *in, size_t n, struct err *e)
{
    assert(n > 0 && (s->marked == 0 || s->failed));
    s->base += s->len;
    if (n > SCAN_MARGIN) {
        n -= SCAN_MARGIN;
        s->len = n < SCAN_BYTES ? n : SCAN_BYTES;
    } else {
        s->len = n;
        in = memcpy(s->end, in, n);
    }
    if (s->failed ||
        hs.scan_stream(s->stream, in, (unsigned)s->len, 0, s->scratch, mark, s) != HS_SUCCESS) {
        s->failed = true;
        s->len = 0;
        return err_set(e, "privacy guard: Hyperscan failed to scan the output");
    }
    return 0;
}
