/* Base64 there and back, and undoing the escapes of JSON strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ndjson.h"
#include "random_text.h"

#define REPLACEMENT "\xEF\xBF\xBD"

static void test_ndjson_undo__base64_gives_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char out[9] = "", back[7] = "";
        size_t n = ndjson_base64(out, vectors[i][0], strlen(vectors[i][0]));
        assert_int_equal(n, strlen(vectors[i][1]));
        assert_string_equal(out, vectors[i][1]);
        assert_int_equal(ndjson_unbase64(back, out, n), strlen(vectors[i][0]));
        assert_string_equal(back, vectors[i][0]);
    }
}

static void test_ndjson_undo__base64_round_trips_any_bytes(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 300; n++) {
        char in[300];
        for (size_t i = 0; i < n; i++)
            in[i] = (char)random_below(256);
        char *out = test_malloc((n + 2) / 3 * 4 + 1);
        size_t wrote = ndjson_base64(out, in, n);
        assert_int_equal(wrote, (n + 2) / 3 * 4);
        char *back = test_malloc(wrote / 4 * 3 + 1);
        assert_int_equal(ndjson_unbase64(back, out, wrote), n);
        assert_memory_equal(back, in, n);
        test_free(back);
        test_free(out);
    }
}

static void test_ndjson_undo__refuses_what_is_not_base64(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "A",    "AB",   "ABC",   "A===",     "====",       "AB=C", "A=BC",
        "AB-_", "AB C", "AB\n=", "AB==CD==", "\xC3\xA9==", "ABCDE"};
    char out[16];
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_true(ndjson_unbase64(out, broken[i], strlen(broken[i])) == (size_t)-1);
    assert_true(ndjson_unbase64(out, "AB\0=", 4) == (size_t)-1);
}

static void test_ndjson_undo__unescape_undoes_escape(void **state)
{
    (void)state;
    for (size_t n = 0; n < 600; n++) {
        char in[600], out[600 * NDJSON_GROWTH], back[600 * NDJSON_GROWTH];
        size_t len = random_text(in, n), used;
        if (len > 3 && (unsigned char)in[2] < 0x80)
            in[2] = '\0';
        size_t wrote = ndjson_escape(out, sizeof out, in, len, &used);
        assert_int_equal(used, len);
        assert_int_equal(ndjson_unescape(back, out, wrote), len);
        assert_memory_equal(back, in, len);
        assert_int_equal(ndjson_unescape(out, out, wrote), len);
        assert_memory_equal(out, in, len);
    }
}

static void test_ndjson_undo__unescape_reads_what_others_write(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"\\/\\b\\t\\n\\f\\r\\\"\\\\", "/\b\t\n\f\r\"\\"},
        {"\\u0041\\u00e9\\u20AC", "A\xC3\xA9\xE2\x82\xAC"},
        {"\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
        {"\\ud83d\\ude00", "\xF0\x9F\x98\x80"},
        {"<\\uD800\\uDC00\\uDBFF\\uDFFF>", "<\xF0\x90\x80\x80\xF4\x8F\xBF\xBF>"},
        {"\\ud83d", REPLACEMENT},
        {"\\ude00", REPLACEMENT},
        {"\\ud83dx", REPLACEMENT "x"},
        {"\\ud83d\\n", REPLACEMENT "\n"},
        {"\\ud83d\\u0041", REPLACEMENT "A"},
        {"\\ud83d\\ud83d\\ude00", REPLACEMENT "\xF0\x9F\x98\x80"},
        {"raw \x01 \xC3\xA9 \xFF", "raw \x01 \xC3\xA9 \xFF"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char out[64];
        size_t n = ndjson_unescape(out, pairs[i][0], strlen(pairs[i][0]));
        assert_int_equal(n, strlen(pairs[i][1]));
        assert_memory_equal(out, pairs[i][1], n);
    }
    char out[6];
    assert_int_equal(ndjson_unescape(out, "\\u0000", 6), 1);
    assert_int_equal(out[0], '\0');
}

static void test_ndjson_undo__unescape_refuses_broken_escapes(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "\\",  "ab\\", "\\x41",     "\\u",          "\\u12",  "\\u12g4", "\\u 123",       "\\U0041",
        "\\'", "\\0",  "\\ud83d\\", "\\ud83d\\u12", "\\n\\q", "\\u-001", "\\ud83d\\uzzzz"};
    char out[16];
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_true(ndjson_unescape(out, broken[i], strlen(broken[i])) == (size_t)-1);
    assert_true(ndjson_unescape(out, "\\\0", 2) == (size_t)-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ndjson_undo__base64_gives_the_vectors_of_rfc_4648),
        cmocka_unit_test(test_ndjson_undo__base64_round_trips_any_bytes),
        cmocka_unit_test(test_ndjson_undo__refuses_what_is_not_base64),
        cmocka_unit_test(test_ndjson_undo__unescape_undoes_escape),
        cmocka_unit_test(test_ndjson_undo__unescape_reads_what_others_write),
        cmocka_unit_test(test_ndjson_undo__unescape_refuses_broken_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
