/* Identifiers: their form, which ones are refused, file names made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ids.h"

static void assert_form(const char *text, const char *form)
{
    assert_int_equal(strlen(text), strlen(form));
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'x')
            assert_non_null(strchr("0123456789abcdef", text[i]));
        else if (form[i] == 'v')
            assert_non_null(strchr("89ab", text[i]));
        else
            assert_int_equal(text[i], form[i]);
    }
}

static void test_ids__uuid_is_random_version_4(void **state)
{
    (void)state;
    char a[ID_UUID_LEN + 1], b[ID_UUID_LEN + 1];
    for (int i = 0; i < 100; i++) {
        id_uuid(a);
        assert_form(a, "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx");
        id_uuid(b);
        assert_string_not_equal(a, b);
    }
}

static void test_ids__run_id_begins_with_its_time(void **state)
{
    (void)state;
    char a[ID_RUN_LEN + 1], b[ID_RUN_LEN + 1];
    id_run(1795367280123, a);
    assert_form(a, "2026-11-22T17-08-00-123Z-xxxxxxxx");
    id_run(1795367280123, b);
    assert_string_not_equal(a, b);
    assert_int_equal(id_check("run", a, NULL), 0);
}

static void test_ids__token_is_64_hex_digits(void **state)
{
    (void)state;
    char a[ID_TOKEN_LEN + 1], b[ID_TOKEN_LEN + 1];
    id_token(a);
    assert_form(a, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    id_token(b);
    assert_string_not_equal(a, b);
}

static void test_ids__hex_of_any_length(void **state)
{
    (void)state;
    char text[301], form[301];
    static const size_t lengths[] = {0, 1, 7, 12, 63, 64, 65, 129, 299};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(text, '#', sizeof text);
        memset(form, 'x', lengths[i]);
        form[lengths[i]] = '\0';
        id_hex(text, lengths[i]);
        assert_form(text, form);
        assert_int_equal(text[lengths[i] + 1], '#');
    }
    assert_memory_not_equal(text, text + 64, 64);
}

static void refused(const char *value, const char *message)
{
    struct err e = {""};
    assert_int_equal(id_check("task", value, &e), -1);
    assert_string_equal(e.text, message);
}

static void test_ids__unsafe_ids_are_refused(void **state)
{
    (void)state;
    static const char forbidden[] = "<>:\"|?*";
    refused(NULL, "Invalid task ID: it is empty");
    refused("", "Invalid task ID: it is empty");
    refused("../evil", "Invalid task ID \"../evil\": slashes are not allowed");
    refused("a/b", "Invalid task ID \"a/b\": slashes are not allowed");
    refused("a\\b", "Invalid task ID \"a\\b\": slashes are not allowed");
    refused(".", "Invalid task ID \".\": leading dots are not allowed");
    refused("..", "Invalid task ID \"..\": leading dots are not allowed");
    refused(".hidden", "Invalid task ID \".hidden\": leading dots are not allowed");
    refused("a.", "Invalid task ID \"a.\": trailing dots or spaces are not allowed");
    refused("a ", "Invalid task ID \"a \": trailing dots or spaces are not allowed");
    refused("a\nb", "Invalid task ID \"a?b\": control characters are not allowed");
    refused("\x7f", "Invalid task ID \"?\": control characters are not allowed");
    refused("\x1b[2J", "Invalid task ID \"?[2J\": control characters are not allowed");
    for (const char *c = forbidden; *c; c++) {
        char value[3] = {'a', *c, '\0'}, message[128];
        snprintf(message, sizeof message,
                 "Invalid task ID \"%s\": none of < > : \" | ? * is allowed", value);
        refused(value, message);
    }
}

static void test_ids__device_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"CON",        "con",    "Prn.txt", "AUX",
                                        "nul.tar.gz", "COM1",   "lpt9",    "com5.x",
                                        "NUL .",      "CONIN$", "aux .b",  "conout$"};
    static const char *const fine[] = {"COM0", "COM10", "CONX", "xCON", "LPT", "COM", "con-1"};
    struct err e;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(id_check("run", names[i], &e), -1);
    assert_string_equal(e.text, "Invalid run ID \"conout$\": Windows reserved device names are "
                                "not allowed");
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_int_equal(id_check("run", fine[i], &e), 0);
}

static void test_ids__safe_ids_pass(void **state)
{
    (void)state;
    static const char *const fine[] = {"0042-demo", "a b", "a.b..c", "\xC3\xBC", " a", "-", "a'$&"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_int_equal(id_check("task", fine[i], NULL), 0);
}

static void test_ids__length_is_limited_to_200_bytes(void **state)
{
    (void)state;
    char value[202];
    struct err e;
    memset(value, 'a', 201);
    value[201] = '\0';
    assert_int_equal(id_check("task", value, &e), -1);
    const char *why = strrchr(e.text, ':');
    assert_non_null(why);
    assert_string_equal(why, ": it is longer than 200 bytes");
    value[200] = '\0';
    assert_int_equal(id_check("task", value, &e), 0);
}

static void slug(const char *value, const char *want)
{
    char out[ID_SLUG_MAX + 1];
    memset(out, '#', sizeof out);
    id_slug(value, out);
    assert_string_equal(out, want);
}

static void test_ids__slug_is_a_plain_file_name(void **state)
{
    (void)state;
    slug("build", "build");
    slug("Build It", "Build-It");
    slug("a--b__c//d", "a-b-c-d");
    slug("-a-", "a");
    slug("../../etc/passwd", "etc-passwd");
    slug("\xC3\xA9moji", "moji");
    slug("", "command");
    slug("---", "command");
    slug("\xE6\xB8\xAC\xE8\xA9\xA6", "command");
}

static void test_ids__slug_has_at_most_80_bytes(void **state)
{
    (void)state;
    char value[101], want[ID_SLUG_MAX + 1];
    memset(value, 'a', 100);
    value[100] = '\0';
    memset(want, 'a', 80);
    want[80] = '\0';
    slug(value, want);
    value[79] = ' ';
    want[79] = '\0'; /* no dash at the end */
    slug(value, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids__uuid_is_random_version_4),
        cmocka_unit_test(test_ids__run_id_begins_with_its_time),
        cmocka_unit_test(test_ids__token_is_64_hex_digits),
        cmocka_unit_test(test_ids__hex_of_any_length),
        cmocka_unit_test(test_ids__unsafe_ids_are_refused),
        cmocka_unit_test(test_ids__device_names_are_refused),
        cmocka_unit_test(test_ids__safe_ids_pass),
        cmocka_unit_test(test_ids__length_is_limited_to_200_bytes),
        cmocka_unit_test(test_ids__slug_is_a_plain_file_name),
        cmocka_unit_test(test_ids__slug_has_at_most_80_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
