/* Every way of encoding that this machine has does what the plain one does, within its room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "ndjson.h"
#include "ndjson_path.h"
#include "random_text.h"

enum {
    LONGEST = 300,
    ALIGNMENTS = 64,
    CANARY = 64,
    PLACE = 4096,
    ROOM = PLACE - ALIGNMENTS - CANARY
};

/* Memory that ends where nothing can be read or written. */
struct place {
    char *end;
};

static struct place in_place, out_place, want_place;

static struct place place_new(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = PLACE < page ? page : PLACE;
    char *memory =
        mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + size, page, PROT_NONE), 0);
    return (struct place){memory + size};
}

static int set_up(void **state)
{
    (void)state;
    in_place = place_new();
    out_place = place_new();
    want_place = place_new();
    return 0;
}

/* Room for n bytes, `after` bytes before the end, with canaries around it. */
static char *room(struct place p, size_t n, size_t after)
{
    assert_true(n <= ROOM && after <= ALIGNMENTS);
    char *begin = p.end - after - n;
    memset(begin - CANARY, 0x5A, n + CANARY + after);
    return begin;
}

static void check_canaries(struct place p, size_t n, size_t after)
{
    const char *begin = p.end - after - n;
    for (size_t i = 0; i < CANARY; i++)
        assert_int_equal(begin[-1 - (ptrdiff_t)i], 0x5A);
    for (size_t i = 0; i < after; i++)
        assert_int_equal(begin[n + i], 0x5A);
}

static char *input(const char *bytes, size_t n, size_t after)
{
    return n ? memcpy(room(in_place, n, after), bytes, n) : in_place.end - after;
}

static void check_escape(const struct ndjson_path *path, const char *in, size_t n, size_t cap,
                         size_t after)
{
    char *out = room(out_place, cap, after), *want = room(want_place, cap, 0);
    size_t used = 999, want_used = 998;
    size_t wrote = path->escape(out, cap, in, n, &used);
    assert_int_equal(wrote, ndjson_scalar.escape(want, cap, in, n, &want_used));
    assert_int_equal(used, want_used);
    assert_memory_equal(out, want, wrote);
    check_canaries(out_place, cap, after);
    check_canaries(want_place, cap, 0);
}

static void check_lossy(const struct ndjson_path *path, const char *in, size_t n, size_t after)
{
    size_t cap = n * NDJSON_GROWTH;
    char *out = room(out_place, cap, after), *want = room(want_place, cap, 0);
    size_t wrote = path->escape_lossy(out, in, n);
    assert_int_equal(wrote, ndjson_scalar.escape_lossy(want, in, n));
    assert_memory_equal(out, want, wrote);
    check_canaries(out_place, cap, after);
    check_canaries(want_place, cap, 0);
}

static void check_base64(const struct ndjson_path *path, const char *in, size_t n, size_t after)
{
    size_t digits = (n + 2) / 3 * 4, bytes = digits / 4 * 3;
    char *out = room(out_place, digits, after), *want = room(want_place, digits, 0);
    assert_int_equal(path->base64(out, in, n), digits);
    assert_int_equal(ndjson_scalar.base64(want, in, n), digits);
    assert_memory_equal(out, want, digits);
    check_canaries(out_place, digits, after);
    char *back = room(want_place, bytes, after);
    assert_int_equal(path->unbase64(back, out, digits), n);
    assert_memory_equal(back, in, n);
    check_canaries(want_place, bytes, after);
}

/* Text, and what there is besides: all of one kind, since the loops treat blocks by their kind. */
enum kind { TEXT, LINES, COLOURS, CONTROLS, WIDE, DAMAGED, CONTINUATIONS, ANYTHING, KINDS };

static size_t put_wide(char *out, size_t n)
{
    size_t len = 0;
    for (; len + 4 <= n; len += put_character(out + len, random_character()))
        continue;
    memset(out + len, 'x', n - len);
    return n;
}

static char random_ascii(enum kind kind)
{
    static const char often[] = "\n\"\\\t\x1b";
    unsigned one_in = kind == LINES ? 20 : kind == COLOURS ? 8 : 2;
    if (random_below(one_in) != 0)
        return (char)('a' + random_below(26));
    return kind == CONTROLS ? (char)random_below(0x22) : often[random_below(kind == LINES ? 4 : 5)];
}

static size_t fill(char *out, size_t n, enum kind kind)
{
    if (kind == TEXT)
        return random_text(out, n);
    if (kind == WIDE || kind == DAMAGED) {
        put_wide(out, n);
        for (unsigned i = 0; kind == DAMAGED && n > 0 && i < 1 + n / 50; i++)
            out[random_below((unsigned)n)] = (char)random_below(256);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = kind == ANYTHING        ? (char)random_below(256)
                 : kind == CONTINUATIONS ? (char)(0x80 + random_below(random_below(4) ? 64 : 128))
                                         : random_ascii(kind);
    }
    return n;
}

static void check_all(const struct ndjson_path *path, const char *bytes, size_t n, size_t after)
{
    const char *in = input(bytes, n, after);
    size_t other = random_below(ALIGNMENTS);
    check_escape(path, in, n, n * NDJSON_GROWTH, other);
    check_lossy(path, in, n, other);
    check_base64(path, in, n, other);
}

static void test_ndjson_path__is_the_same_for_every_length_and_alignment(void **state)
{
    (void)state;
    const struct ndjson_path *path;
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        for (size_t n = 0; n <= LONGEST; n++) {
            for (size_t after = 0; after < ALIGNMENTS; after++) {
                char bytes[LONGEST];
                check_all(path, bytes, fill(bytes, n, (n + after) % KINDS), after);
            }
        }
    }
}

static void test_ndjson_path__is_the_same_for_every_byte_at_every_place(void **state)
{
    (void)state;
    const struct ndjson_path *path;
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        char bytes[70];
        memset(bytes, 'x', sizeof bytes);
        for (size_t at = 0; at < sizeof bytes; at++) {
            for (int c = 0; c < 256; c++) {
                bytes[at] = (char)c;
                check_all(path, bytes, sizeof bytes, 0);
            }
            bytes[at] = 'x';
        }
    }
}

/* Every start of a character, and each character with a byte damaged, before what may follow. */
static void check_broken(const struct ndjson_path *path, char *bytes, size_t n, size_t at)
{
    static const uint32_t characters[] = {0x80,    0x7FF,   0x800,    0xFFF,    0x1000,  0xD7FF,
                                          0xD800,  0xDFFF,  0xE000,   0xFFFD,   0xFFFF,  0x10000,
                                          0x3FFFF, 0x40000, 0x10FFFF, 0x110000, 0x1FFFFF};
    static const unsigned char damage[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                           0xC0, 0xC2, 0xDF, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF};
    for (size_t k = 0; k < sizeof characters / sizeof *characters; k++) {
        for (size_t d = 0; d < 4 * sizeof damage; d++) {
            char before[8];
            memcpy(before, bytes + at, sizeof before);
            put_character(bytes + at, characters[k]);
            bytes[at + d % 4] = (char)damage[d / 4];
            check_all(path, bytes, n, 0);
            memcpy(bytes + at, before, sizeof before);
        }
    }
}

static void test_ndjson_path__is_the_same_for_what_is_broken_at_any_place(void **state)
{
    (void)state;
    const struct ndjson_path *path;
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        char bytes[76];
        for (size_t at = 0; at + 8 <= sizeof bytes; at++) {
            memset(bytes, 'x', sizeof bytes);
            check_broken(path, bytes, sizeof bytes, at);
            fill(bytes, sizeof bytes, WIDE);
            check_broken(path, bytes, at + 4, at);
        }
    }
}

static void test_ndjson_path__stops_at_the_same_place_for_every_capacity(void **state)
{
    (void)state;
    const struct ndjson_path *path;
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        for (unsigned round = 0; round < 4 * KINDS; round++) {
            char bytes[130];
            size_t n = fill(bytes, round < KINDS ? 8 : sizeof bytes, round % KINDS);
            const char *in = input(bytes, n, 0);
            for (size_t cap = 0; cap <= n * NDJSON_GROWTH; cap++)
                check_escape(path, in, n, cap, 0);
        }
    }
}

static void test_ndjson_path__refuses_every_byte_that_is_no_digit(void **state)
{
    (void)state;
    const struct ndjson_path *path;
    for (size_t i = 0; (path = ndjson_path(i)); i++) {
        char digits[100], out[75], want[75];
        for (size_t at = 0; at < sizeof digits; at++) {
            for (int c = 0; c < 256; c++) {
                memset(digits, 'Q', sizeof digits);
                digits[at] = (char)c;
                size_t n = path->unbase64(out, digits, sizeof digits);
                assert_int_equal(n, ndjson_scalar.unbase64(want, digits, sizeof digits));
                if (n != (size_t)-1)
                    assert_memory_equal(out, want, n);
            }
        }
        assert_true(path->unbase64(out, digits, 99) == (size_t)-1);
    }
}

static void test_ndjson_path__ends_with_the_one_for_all_machines(void **state)
{
    (void)state;
    size_t n = 0;
    while (ndjson_path(n))
        n++;
    assert_true(n >= 1);
    assert_ptr_equal(ndjson_path(n - 1), &ndjson_scalar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ndjson_path__is_the_same_for_every_length_and_alignment),
        cmocka_unit_test(test_ndjson_path__is_the_same_for_every_byte_at_every_place),
        cmocka_unit_test(test_ndjson_path__is_the_same_for_what_is_broken_at_any_place),
        cmocka_unit_test(test_ndjson_path__stops_at_the_same_place_for_every_capacity),
        cmocka_unit_test(test_ndjson_path__refuses_every_byte_that_is_no_digit),
        cmocka_unit_test(test_ndjson_path__ends_with_the_one_for_all_machines),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
