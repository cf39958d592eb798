/* JSON text that is written without a tree is what a parser takes it for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "jsontext.h"

static void assert_text(struct buf *b, const char *want)
{
    assert_false(b->failed);
    assert_string_equal(b->data, want);
    buf_release(b);
}

static void test_jsontext__puts_commas_between_members_and_elements(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    jsontext_open(&b, NULL, '{');
    jsontext_open(&b, "none", '[');
    jsontext_close(&b, ']');
    jsontext_open(&b, "some", '[');
    jsontext_str(&b, NULL, "a");
    jsontext_u64(&b, NULL, 7);
    jsontext_open(&b, NULL, '{');
    jsontext_close(&b, '}');
    jsontext_open(&b, NULL, '[');
    jsontext_bool(&b, NULL, true);
    jsontext_close(&b, ']');
    jsontext_close(&b, ']');
    jsontext_bool(&b, "last", false);
    jsontext_close(&b, '}');
    assert_text(&b, "{\"none\":[],\"some\":[\"a\",7,{},[true]],\"last\":false}");
}

static void test_jsontext__begins_lines_with_members_or_elements(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    jsontext_open(&b, NULL, '{');
    jsontext_line(&b);
    jsontext_u64(&b, "a", 1);
    jsontext_line(&b);
    jsontext_open(&b, "b", '[');
    jsontext_line(&b);
    jsontext_u64(&b, NULL, 2);
    jsontext_line(&b);
    jsontext_u64(&b, NULL, 3);
    jsontext_u64(&b, NULL, 4);
    jsontext_close(&b, ']');
    jsontext_close(&b, '}');
    assert_text(&b, "{\n\"a\":1,\n\"b\":[\n2,\n3,4]}");
}

/* A text that ends in what would be a bracket is a text. */
static void test_jsontext__spells_values(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    jsontext_open(&b, NULL, '{');
    jsontext_str(&b, "te\"xt", "[\n\\ {");
    jsontext_str(&b, "broken", "\xFFx");
    jsontext_str(&b, "absent", NULL);
    jsontext_u64(&b, "large", UINT64_MAX);
    jsontext_time(&b, "time", INT64_C(1767225600123));
    jsontext_time(&b, "never", CLOCK_NEVER);
    jsontext_close(&b, '}');
    assert_text(&b, "{\"te\\\"xt\":\"[\\n\\\\ {\",\"broken\":\"\xEF\xBF\xBDx\",\"absent\":null,"
                    "\"large\":18446744073709551615,\"time\":\"2026-01-01T00:00:00.123Z\",\"never\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsontext__puts_commas_between_members_and_elements),
        cmocka_unit_test(test_jsontext__begins_lines_with_members_or_elements),
        cmocka_unit_test(test_jsontext__spells_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
