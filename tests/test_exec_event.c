/* The lines of a command's log as events. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec_event.h"
#include "exec_lines.h"

static void test_exec_event__prints_a_chunk_in_both_forms(void **state)
{
    (void)state;
    static const char text[] = CHUNK_HEAD_OF("stderr", "7") "\"data\":\"a\\\"}\\\\\","
                                                            "\"data_base64\":\"/w==\"" CHUNK_END;
    struct exec_log *x = exec_log_new();
    struct exec_line line;
    struct buf out = BUF_INIT;
    exec_line_parse(&line, text, sizeof text - 1);
    assert_int_equal(line.kind, EXEC_CHUNK);
    assert_int_equal(exec_log_take(x, &line), 0);
    assert_int_equal(x->stream, 2);
    assert_int_equal(x->size, 1);
    assert_memory_equal(x->bytes, "\xFF", 1);
    exec_line_print(&line, x, EXEC_FORM_RECORD, &out);
    assert_string_equal(out.data, "{\"type\":\"exec:chunk\",\"correlationId\":\"c-1\","
                                  "\"timestamp\":\"2026-11-22T17:08:00.100Z\",\"attempt\":1,"
                                  "\"stream\":\"stderr\",\"sequence\":7,\"bytes\":4,"
                                  "\"data\":\"a\\\"}\\\\\",\"dataBase64\":\"/w==\"}");
    buf_clear(&out);
    exec_line_print(&line, x, EXEC_FORM_STREAM, &out);
    assert_string_equal(out.data,
                        "{\"type\":\"exec:chunk\",\"timestamp\":\"2026-11-22T17:08:00.100Z\","
                        "\"payload\":{\"attempt\":1,\"correlationId\":\"c-1\","
                        "\"stream\":\"stderr\",\"sequence\":7,\"bytes\":4,"
                        "\"data\":\"a\\\"}\\\\\",\"dataBase64\":\"/w==\"}}");
    buf_release(&out);
    exec_log_free(x);
}

static void test_exec_event__prints_json_of_a_line_that_has_only_a_type(void **state)
{
    (void)state;
    static const struct {
        const char *line, *printed;
    } cases[] = {
        {"{\"type\":\"exec:begin\"}", "{\"type\":\"exec:begin\",\"payload\":{}}"},
        {"{\"type\":\"exec:begin\",\"cwd\":\"/r\"}",
         "{\"type\":\"exec:begin\",\"payload\":{\"cwd\":\"/r\"}}"},
        {"{\"type\":\"exec:begin\",\"correlation_id\":\"c\",\"cwd\":\"/r\"}",
         "{\"type\":\"exec:begin\",\"payload\":{\"correlationId\":\"c\",\"cwd\":\"/r\"}}"},
        {"{\"type\":\"exec:end\",\"status\":\"failed\"}",
         "{\"type\":\"exec:end\",\"payload\":{\"stdout\":\"\",\"stderr\":\"\","
         "\"sandboxState\":\"sandboxed\",\"sessionId\":\"default\",\"status\":\"failed\"}}"},
    };
    struct exec_log *x = exec_log_new();
    struct exec_line line;
    struct buf out = BUF_INIT;
    assert_non_null(x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        exec_line_parse(&line, cases[i].line, strlen(cases[i].line));
        exec_line_print(&line, x, EXEC_FORM_STREAM, &out);
        assert_string_equal(out.data, cases[i].printed);
        buf_clear(&out);
    }
    buf_release(&out);
    exec_log_free(x);
}

/* Cut anywhere, a line is no event, and nothing is read beyond its end. */
static void test_exec_event__takes_no_broken_line_for_an_event(void **state)
{
    (void)state;
    static const char *const whole[] = {BEGIN, CHUNK("stdout", "1", "a\\\\\\\"b"), END};
    struct exec_line line;
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(whole[i]);
        exec_line_parse(&line, whole[i], n);
        assert_int_equal(line.kind, EXEC_BEGIN + i);
        for (size_t cut = 0; cut < n; cut++) {
            char *text = strndup(whole[i], cut); /* a block of its own, for the sanitizer */
            exec_line_parse(&line, text, cut);
            assert_int_equal(line.kind, EXEC_OTHER);
            free(text);
        }
    }
    static const char *const other[] = {"{}",
                                        "[]",
                                        "{\"type\":\"command:start\"}",
                                        "{\"type\":\"exec:begin\"}}",
                                        "{\"type\":\"exec:beginning\"}",
                                        "{\"kind\":\"exec:begin\"}",
                                        "{\"type\"\"exec:begin\"}",
                                        "{\"a\":]]],\"type\":\"exec:begin\"}"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        exec_line_parse(&line, other[i], strlen(other[i]));
        assert_int_equal(line.kind, EXEC_OTHER);
    }
}

static void test_exec_event__says_that_an_end_is_not_json(void **state)
{
    (void)state;
    static const char text[] = "{\"type\":\"exec:end\",\"status\":nonsense}";
    struct exec_log *x = exec_log_new();
    struct exec_line line;
    exec_line_parse(&line, text, sizeof text - 1);
    assert_int_equal(line.kind, EXEC_END);
    assert_int_equal(exec_log_take(x, &line), -1);
    assert_int_equal(errno, EBADMSG);
    exec_log_free(x);
}

static void test_exec_event__takes_no_line_with_too_many_members_for_an_event(void **state)
{
    (void)state;
    struct exec_line line;
    for (int more = EXEC_MEMBERS - 1; more <= EXEC_MEMBERS; more++) {
        struct buf text = BUF_INIT;
        buf_addstr(&text, "{\"type\":\"exec:end\"");
        for (int i = 0; i < more; i++)
            buf_addf(&text, ",\"m%d\":%d", i, i);
        buf_addch(&text, '}');
        exec_line_parse(&line, text.data, text.len);
        assert_int_equal(line.kind, more < EXEC_MEMBERS ? EXEC_END : EXEC_OTHER);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exec_event__prints_a_chunk_in_both_forms),
        cmocka_unit_test(test_exec_event__prints_json_of_a_line_that_has_only_a_type),
        cmocka_unit_test(test_exec_event__takes_no_broken_line_for_an_event),
        cmocka_unit_test(test_exec_event__says_that_an_end_is_not_json),
        cmocka_unit_test(test_exec_event__takes_no_line_with_too_many_members_for_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
