/* Encoding output as JSON strings, against a byte-by-byte reference written from table 3-7. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <cJSON.h>

#include "ndjson.h"
#include "random_text.h"

#define REPLACEMENT "\xEF\xBF\xBD"

/* Unicode 15, table 3-7: well-formed byte sequences, first and last value of each byte. */
static const struct {
    size_t len;
    unsigned char range[4][2];
} well_formed[] = {
    {1, {{0x00, 0x7F}}},
    {2, {{0xC2, 0xDF}, {0x80, 0xBF}}},
    {3, {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}}},
    {3, {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}}},
};

/* How many bytes at `in` are a character or, with `*whole` false, a maximal part of one. */
static size_t ref_part(const char *in, size_t n, bool *whole)
{
    size_t longest = 1;
    *whole = false;
    for (size_t row = 0; row < sizeof well_formed / sizeof *well_formed; row++) {
        size_t k = 0;
        while (k < n && k < well_formed[row].len &&
               (unsigned char)in[k] >= well_formed[row].range[k][0] &&
               (unsigned char)in[k] <= well_formed[row].range[k][1])
            k++;
        *whole |= k == well_formed[row].len;
        longest = k > longest ? k : longest;
    }
    return longest;
}

static void ref_char(struct buf *out, const char *in, size_t len)
{
    static const char *const named[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };
    unsigned char c = (unsigned char)*in;
    if (c < sizeof named / sizeof *named && named[c])
        buf_addstr(out, named[c]);
    else if (c < 0x20)
        buf_addf(out, "\\u%04x", c);
    else
        buf_add(out, in, len);
}

/* Everything escaped; what is not UTF-8 ends it, or becomes U+FFFD. Returns the bytes consumed. */
static size_t ref_escape(struct buf *out, const char *in, size_t n, bool lossy)
{
    buf_clear(out);
    for (size_t i = 0, len; i < n; i += len) {
        bool whole;
        len = ref_part(in + i, n - i, &whole);
        if (whole)
            ref_char(out, in + i, len);
        else if (lossy)
            buf_addstr(out, REPLACEMENT);
        else
            return i;
    }
    return n;
}

/* Random text, damaged in a few places. */
static void random_bytes(char *out, size_t n)
{
    size_t len = random_text(out, n);
    memset(out + len, 'z', n - len);
    for (unsigned i = random_below(4); n > 0 && i > 0; i--)
        out[random_below((unsigned)n)] =
            (char)(random_below(2) ? 0x80 + random_below(128) : random_below(128));
}

static void check_escape(const char *in, size_t n)
{
    struct buf want = BUF_INIT;
    size_t want_used = ref_escape(&want, in, n, false), used = 999;
    size_t cap = n * NDJSON_GROWTH;
    char *out = test_malloc(cap + 1);
    size_t wrote = ndjson_escape(out, cap, in, n, &used);
    assert_int_equal(used, want_used);
    assert_int_equal(wrote, want.len);
    assert_memory_equal(out, want.data ? want.data : "", wrote);

    ref_escape(&want, in, n, true);
    wrote = ndjson_escape_lossy(out, in, n);
    assert_int_equal(wrote, want.len);
    assert_memory_equal(out, want.data ? want.data : "", wrote);
    test_free(out);
    buf_release(&want);
}

static void test_ndjson__escapes_every_byte_value(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char in[20], want[8], out[20 * NDJSON_GROWTH];
        memset(in, 'x', sizeof in);
        snprintf(want, sizeof want, c < 0x20 ? "\\u%04x" : "%c", c);
        const char *const named[][2] = {{"\b", "\\b"}, {"\t", "\\t"},  {"\n", "\\n"}, {"\f", "\\f"},
                                        {"\r", "\\r"}, {"\"", "\\\""}, {"\\", "\\\\"}};
        for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
            if (named[i][0][0] == c)
                snprintf(want, sizeof want, "%s", named[i][1]);
        }
        for (size_t at = 0; at < sizeof in; at++) {
            in[at] = (char)c;
            size_t used, wrote = ndjson_escape(out, sizeof out, in, sizeof in, &used);
            in[at] = 'x';
            assert_int_equal(used, c < 0x80 ? sizeof in : at);
            assert_int_equal(wrote, c < 0x80 ? sizeof in - 1 + strlen(want) : at);
            if (c < 0x80)
                assert_memory_equal(out + at, want, strlen(want));
        }
    }
}

static void test_ndjson__accepts_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c <= 0x10FFFF; c++) {
        char in[4], out[24];
        size_t n = put_character(in, c), used;
        bool surrogate = c >= 0xD800 && c < 0xE000;
        size_t wrote = ndjson_escape(out, sizeof out, in, n, &used);
        assert_int_equal(used, surrogate ? 0 : n);
        assert_int_equal(wrote, surrogate ? 0 : n);
        assert_memory_equal(out, in, wrote);
    }
}

static void test_ndjson__knows_every_border_of_table_3_7(void **state)
{
    (void)state;
    static const unsigned char border[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                           0xA0, 0xBF, 0xC0, 0xC2, 0xF0, 0xFF};
    enum { N = sizeof border };
    for (int first = 0; first < 256; first++) {
        for (int rest = 0; rest < N * N * N; rest++) {
            const unsigned char in[] = {(unsigned char)first, border[rest % N],
                                        border[rest / N % N], border[rest / N / N]};
            bool whole;
            size_t len = ref_part((const char *)in, 4, &whole), used;
            char out[24];
            ndjson_escape(out, sizeof out, (const char *)in, len, &used);
            assert_int_equal(used, whole ? len : 0);
            if (rest % 7 == 0)
                check_escape((const char *)in, 4);
        }
    }
}

static void test_ndjson__equals_the_reference_at_every_alignment(void **state)
{
    (void)state;
    char bytes[160];
    for (size_t offset = 0; offset < 16; offset++) {
        for (size_t n = 0; n <= 130; n++) {
            random_bytes(bytes + offset, n);
            check_escape(bytes + offset, n);
        }
    }
}

static void test_ndjson__equals_the_reference_on_long_input(void **state)
{
    (void)state;
    static char bytes[20000];
    for (int round = 0; round < 20; round++) {
        random_bytes(bytes, sizeof bytes);
        check_escape(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)random_below(256);
        check_escape(bytes, sizeof bytes);
    }
}

static void test_ndjson__stops_between_characters_at_every_capacity(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        char in[60];
        size_t n = random_text(in, sizeof in);
        struct buf want = BUF_INIT;
        for (size_t cap = 0; cap <= n * NDJSON_GROWTH; cap++) {
            char *out = test_malloc(cap + 1);
            size_t used = 999, wrote = ndjson_escape(out, cap, in, n, &used);
            assert_true(wrote <= cap);
            assert_true(used == n || cap - wrote < NDJSON_GROWTH);
            assert_true(used == n || ((unsigned char)in[used] & 0xC0) != 0x80);
            ref_escape(&want, in, used, false);
            assert_int_equal(wrote, want.len);
            assert_memory_equal(out, want.data ? want.data : "", wrote);
            test_free(out);
        }
        buf_release(&want);
    }
}

static void test_ndjson__is_read_back_by_a_json_parser(void **state)
{
    (void)state;
    for (size_t n = 0; n < 400; n++) {
        char in[401], out[401 * NDJSON_GROWTH + 2];
        size_t len = random_text(in, n), used;
        in[len] = '\0';
        out[0] = '"';
        size_t wrote = ndjson_escape(out + 1, sizeof out - 2, in, len, &used);
        assert_int_equal(used, len);
        out[1 + wrote] = '"';
        cJSON *parsed = cJSON_ParseWithLength(out, wrote + 2);
        assert_non_null(parsed);
        assert_string_equal(cJSON_GetStringValue(parsed), in);
        cJSON_Delete(parsed);
    }
}

static void test_ndjson__replaces_maximal_parts_as_whatwg(void **state)
{
    (void)state;
#define R REPLACEMENT
    static const struct {
        const char *in, *want;
    } known[] = {
        {"\xF0\x80\x80", R R R},
        {"\xF0\x9F\x98", R},
        {"\xE2\x82", R},
        {"\xC0\xAF", R R},
        {"a\xC3", "a" R},
        {"\xF0\x9F\x98"
         "A",
         R "A"},
        {"\xF8\x88\x80\x80\x80", R R R R R},
        {"\xED\xA0\x80", R R R},
        {"\xF4\x90\x80\x80", R R R R},
        /* The examples of the Unicode standard, tables 3-8 to 3-11. */
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"},
    };
#undef R
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char out[64];
        size_t n = strlen(known[i].in), want = strlen(known[i].want);
        assert_int_equal(ndjson_escape_lossy(out, known[i].in, n), want);
        assert_memory_equal(out, known[i].want, want);
        assert_int_equal(ndjson_clean(out, known[i].in, n), want);
        assert_memory_equal(out, known[i].want, want);
    }
}

static void test_ndjson__finds_an_unfinished_character_at_every_split(void **state)
{
    (void)state;
    static const char *const before[] = {"",     "a",    "\n\"", "\xC3\xA9", "\xF0\x9F\x98\x80",
                                         "\x80", "\xFF", "\xE2"};
    static const char *const characters[] = {
        "\xC2\x80",     "\xDF\xBF",     "\xE0\xA0\x80",     "\xE0\xBF\xBF",     "\xED\x9F\xBF",
        "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF1\x80\x80\x80", "\xF4\x8F\xBF\xBF"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        for (size_t k = 0; k < sizeof characters / sizeof *characters; k++) {
            char text[12];
            size_t start = strlen(before[i]), len = strlen(characters[k]);
            snprintf(text, sizeof text, "%s%s", before[i], characters[k]);
            for (size_t split = 1; split <= len; split++)
                assert_int_equal(ndjson_unfinished(text, start + split), split < len ? split : 0);
        }
    }
}

static void test_ndjson__nothing_else_is_unfinished(void **state)
{
    (void)state;
    static const char *const over[] = {"",
                                       "a",
                                       "\x80",
                                       "\x80\x80\x80",
                                       "\xC0",
                                       "\xC1",
                                       "\xF5",
                                       "\xFF",
                                       "\xE0\x80",
                                       "\xE0\x9F",
                                       "\xED\xA0",
                                       "\xF0\x8F",
                                       "\xF4\x90",
                                       "\xC3\xA9\x80",
                                       "\xE2\x61",
                                       "\xF0\x80\x80",
                                       "\xF0\x9F\x61",
                                       "\xF8\x88\x80",
                                       "\xE2\x82\xAC\x80\x80"};
    for (size_t i = 0; i < sizeof over / sizeof *over; i++)
        assert_int_equal(ndjson_unfinished(over[i], strlen(over[i])), 0);
}

static void test_ndjson__knows_how_long_a_character_is(void **state)
{
    (void)state;
    static const char *const valid[] = {"a", "ü", "日", "\xf0\x9f\x99\x82"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ndjson_character(valid[i], strlen(valid[i])), i + 1);
        assert_int_equal(ndjson_character(valid[i], i), 0);
    }
    assert_int_equal(ndjson_character("", 1), 1);
    assert_int_equal(ndjson_character("\xff", 1), 0);
}

static void test_ndjson__clean_text_is_utf8_without_nul(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n++) {
        char in[300], want[300 * NDJSON_CLEAN_GROWTH];
        size_t len = 0;
        random_bytes(in, n);
        for (size_t i = 0, part; i < n; i += part) {
            bool whole;
            part = ref_part(in + i, n - i, &whole);
            bool keep = whole && in[i] != '\0';
            memcpy(want + len, keep ? in + i : REPLACEMENT, keep ? part : 3);
            len += keep ? part : 3;
        }
        char *out = test_malloc(n * NDJSON_CLEAN_GROWTH + 1);
        assert_int_equal(ndjson_clean(out, in, n), len);
        assert_memory_equal(out, want, len);
        test_free(out);
    }
    char out[9];
    assert_int_equal(ndjson_clean(out, "a\0b\0", 4), 8);
    assert_memory_equal(out, "a" REPLACEMENT "b" REPLACEMENT, 8);
}

static void test_ndjson__numbers_are_decimal(void **state)
{
    (void)state;
    static const uint64_t extremes[] = {0,         9,
                                        10,        99,
                                        100,       UINT64_C(9007199254740993),
                                        INT64_MAX, UINT64_C(10000000000000000000),
                                        UINT64_MAX};
    for (size_t i = 0; i < 64 + sizeof extremes / sizeof *extremes; i++) {
        uint64_t value = i < 64 ? (UINT64_C(1) << i) - (i & 1) : extremes[i - 64];
        char out[20], want[24];
        size_t n = ndjson_u64(out, value);
        assert_int_equal(n, snprintf(want, sizeof want, "%" PRIu64, value));
        assert_memory_equal(out, want, n);
    }
}

static void test_ndjson__addstr_quotes_any_text(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addstr(&b, "x:");
    ndjson_addstr(&b, "");
    ndjson_addstr(&b, "say \"hi\"\n\xFF");
    assert_string_equal(b.data, "x:\"\"\"say \\\"hi\\\"\\n" REPLACEMENT "\"");
    assert_int_equal(b.len, strlen(b.data));
    assert_null(buf_room(&b, SIZE_MAX));
    size_t len = b.len;
    ndjson_addstr(&b, "lost");
    assert_int_equal(b.len, len);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ndjson__escapes_every_byte_value),
        cmocka_unit_test(test_ndjson__accepts_every_code_point),
        cmocka_unit_test(test_ndjson__knows_every_border_of_table_3_7),
        cmocka_unit_test(test_ndjson__equals_the_reference_at_every_alignment),
        cmocka_unit_test(test_ndjson__equals_the_reference_on_long_input),
        cmocka_unit_test(test_ndjson__stops_between_characters_at_every_capacity),
        cmocka_unit_test(test_ndjson__is_read_back_by_a_json_parser),
        cmocka_unit_test(test_ndjson__replaces_maximal_parts_as_whatwg),
        cmocka_unit_test(test_ndjson__finds_an_unfinished_character_at_every_split),
        cmocka_unit_test(test_ndjson__nothing_else_is_unfinished),
        cmocka_unit_test(test_ndjson__knows_how_long_a_character_is),
        cmocka_unit_test(test_ndjson__clean_text_is_utf8_without_nul),
        cmocka_unit_test(test_ndjson__numbers_are_decimal),
        cmocka_unit_test(test_ndjson__addstr_quotes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
