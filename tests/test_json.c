/* cJSON as we use it: exact numbers, our layout, places of errors, files read safely. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "json.h"
#include "tmpdir.h"

/* Prints `doc`, compares and deletes it. */
static void assert_prints(cJSON *doc, bool pretty, const char *want)
{
    struct buf out = BUF_INIT;
    assert_int_equal(json_print(doc, pretty, &out), 0);
    assert_string_equal(out.data, want);
    cJSON_Delete(doc);
    buf_release(&out);
}

static void test_json__builds_every_type(void **state)
{
    (void)state;
    cJSON *doc = json_new();
    json_str(doc, "s", "a\"\n");
    json_str(doc, "n", NULL);
    json_int(doc, "i", -7);
    json_num(doc, "d", 0.5);
    json_num(doc, "nan", (double)NAN);
    json_num(doc, "inf", (double)INFINITY);
    json_bool(doc, "t", true);
    json_bool(doc, "f", false);
    json_null(doc, "z");
    json_time(doc, "at", 1000);
    json_time(doc, "never", CLOCK_NEVER);
    json_str(json_object(doc, "o"), "k", "v");
    cJSON *array = json_array(doc, "a");
    json_str(array, NULL, "x");
    json_int(array, NULL, 1);
    json_bool(json_element(array), "e", true);
    assert_prints(doc, false,
                  "{\"s\":\"a\\\"\\n\",\"n\":null,\"i\":-7,\"d\":0.5,\"nan\":null,\"inf\":null,"
                  "\"t\":true,\"f\":false,\"z\":null,\"at\":\"1970-01-01T00:00:01.000Z\","
                  "\"never\":null,\"o\":{\"k\":\"v\"},\"a\":[\"x\",1,{\"e\":true}]}");
}

static void test_json__integers_are_exact_in_64_bits(void **state)
{
    (void)state;
    static const int64_t values[] = {0,
                                     2147483648,
                                     -2147483649,
                                     999999999999999,
                                     1000000000000000,
                                     4999999999999991,
                                     -4999999999999991,
                                     9007199254740991,
                                     9007199254740993,
                                     INT64_MAX,
                                     INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char want[32];
        cJSON *doc = json_new();
        json_int(doc, "v", values[i]);
        snprintf(want, sizeof want, "{\"v\":%lld}", (long long)values[i]);
        assert_prints(doc, false, want);
    }
}

static void test_json__pretty_has_two_blanks_a_level(void **state)
{
    (void)state;
    cJSON *doc = json_new();
    json_str(doc, "tab", "a\tb\\\" {\n");
    json_str(doc, "none", "");
    json_object(doc, "empty");
    json_object(json_object(doc, "outer"), "inner");
    json_int(json_element(json_array(doc, "list")), "n", 1);
    assert_prints(doc, true,
                  "{\n"
                  "  \"tab\": \"a\\tb\\\\\\\" {\\n\",\n"
                  "  \"none\": \"\",\n"
                  "  \"empty\": {},\n"
                  "  \"outer\": {\n"
                  "    \"inner\": {}\n"
                  "  },\n"
                  "  \"list\": [{\n"
                  "      \"n\": 1\n"
                  "    }]\n"
                  "}");
}

static void test_json__failed_addition_is_told_by_the_next_print(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    cJSON *doc = json_new();
    json_str(doc, "a", "1");
    json_add(doc, "b", NULL); /* what an allocation that failed leaves */
    json_str(NULL, "c", "3"); /* and what follows from it */
    errno = 0;
    assert_int_equal(json_print(doc, false, &out), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(json_print(doc, false, &out), 0);
    assert_string_equal(out.data, "{\"a\":\"1\"}");
    assert_int_equal(json_print(NULL, false, &out), -1);
    cJSON_Delete(doc);
    buf_release(&out);
}

static void test_json__print_appends(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    cJSON *doc = json_new();
    buf_addstr(&out, "x ");
    assert_int_equal(json_print(doc, false, &out), 0);
    assert_string_equal(out.data, "x {}");
    cJSON_Delete(doc);
    buf_release(&out);
}

static void test_json__members_have_fallbacks(void **state)
{
    (void)state;
    static const char text[] = "{\"s\":\"x\",\"i\":9007199254740991,\"big\":9007199254740992,"
                               "\"d\":1.5,\"t\":true,\"f\":false,\"z\":null}";
    cJSON *doc = json_parse(text, sizeof text - 1, "t", NULL);
    assert_non_null(doc);
    assert_string_equal(json_get_str(doc, "s"), "x");
    assert_null(json_get_str(doc, "S"));
    assert_null(json_get_str(doc, "i"));
    assert_null(json_get_str(NULL, "s"));
    assert_true(json_get_int(doc, "i", 1) == 9007199254740991);
    assert_true(json_get_int(doc, "big", 1) == 1);
    assert_true(json_get_int(doc, "s", 2) == 2);
    assert_true(json_get_int(doc, "none", 3) == 3);
    assert_true(fabs(json_get_num(doc, "d", 0) - 1.5) < 1e-12);
    assert_true(fabs(json_get_num(doc, "z", 4) - 4) < 1e-12);
    assert_true(json_get_bool(doc, "t", false));
    assert_false(json_get_bool(doc, "f", true));
    assert_true(json_get_bool(doc, "z", true));
    cJSON_Delete(doc);
}

static void refused(const char *text, const char *message)
{
    struct err e = {""};
    errno = 0;
    assert_null(json_parse(text, strlen(text), "f.json", &e));
    assert_string_equal(e.text, message);
    assert_int_equal(errno, EINVAL);
}

static void test_json__syntax_errors_have_line_and_column(void **state)
{
    (void)state;
    refused("", "f.json:1:1: not valid JSON");
    refused("{\"a\":1,\n \"b\" 2}", "f.json:2:6: not valid JSON");
    refused("[\"\xE2\x82\xAC\",\n\"\xC3\xA9\" x]", "f.json:2:5: not valid JSON");
    refused("\xEF\xBB\xBF[x]", "f.json:1:2: not valid JSON");
    refused("{}\n {}", "f.json:2:2: not valid JSON (more text after the document)");
    refused("\"\\ud800\"", "f.json:1:2: not valid JSON");
}

static void test_json__byte_order_mark_and_white_space_are_no_errors(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF \n[1]\r\n\t ";
    cJSON *doc = json_parse(text, sizeof text - 1, "f", NULL);
    assert_int_equal(cJSON_GetArraySize(doc), 1);
    cJSON_Delete(doc);
}

static void test_json__nul_behind_the_document_is_refused(void **state)
{
    (void)state;
    struct err e = {""};
    assert_null(json_parse("[1]\0", 4, "f", &e));
    assert_string_equal(e.text, "f:1:4: not valid JSON (more text after the document)");
}

static void put(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_json__slurp_reads_a_whole_file(void **state)
{
    (void)state;
    char dir[64];
    size_t n = 300 * 1024;
    char *text = malloc(n);
    struct buf out = BUF_INIT;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(i * 31 % 251);
    tmpdir_make(dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fchdir(fd), 0);
    put("big", text, n);
    put("empty", "", 0);
    assert_int_equal(json_slurp(fd, "big", false, &out), 0);
    assert_int_equal(out.len, n);
    assert_memory_equal(out.data, text, n);
    assert_int_equal(out.data[n], '\0');
    buf_clear(&out);
    assert_int_equal(json_slurp(fd, "empty", false, &out), 0);
    assert_int_equal(out.len, 0);
    assert_string_equal(out.data, "");
    buf_release(&out);
    free(text);
    close(fd);
    tmpdir_remove(dir);
}

static void test_json__slurp_reads_regular_files_only(void **state)
{
    (void)state;
    char dir[64];
    struct buf out = BUF_INIT;
    tmpdir_make(dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fchdir(fd), 0);
    put("file", "{}", 2);
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    static const struct {
        const char *name;
        int error;
    } cases[] = {{"link", ELOOP}, {"folder", EISDIR}, {"fifo", EINVAL}, {"none", ENOENT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = 0;
        assert_int_equal(json_slurp(fd, cases[i].name, false, &out), -1);
        assert_int_equal(errno, cases[i].error);
    }
    assert_int_equal(json_slurp(fd, "link", true, &out), 0);
    assert_string_equal(out.data, "{}");
    buf_release(&out);
    close(fd);
    tmpdir_remove(dir);
}

static void test_json__error_texts_are_one_line(void **state)
{
    (void)state;
    struct err e;
    errno = ENOENT;
    assert_int_equal(err_sys(&e, "%s", "a\nb\x1b\x7f"), -1);
    assert_string_equal(e.text, "a?b??: No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(err_set(NULL, "x"), -1);
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(err_sys(&e, "%s", text), -1);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__builds_every_type),
        cmocka_unit_test(test_json__integers_are_exact_in_64_bits),
        cmocka_unit_test(test_json__pretty_has_two_blanks_a_level),
        cmocka_unit_test(test_json__failed_addition_is_told_by_the_next_print),
        cmocka_unit_test(test_json__print_appends),
        cmocka_unit_test(test_json__members_have_fallbacks),
        cmocka_unit_test(test_json__syntax_errors_have_line_and_column),
        cmocka_unit_test(test_json__byte_order_mark_and_white_space_are_no_errors),
        cmocka_unit_test(test_json__nul_behind_the_document_is_refused),
        cmocka_unit_test(test_json__slurp_reads_a_whole_file),
        cmocka_unit_test(test_json__slurp_reads_regular_files_only),
        cmocka_unit_test(test_json__error_texts_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
