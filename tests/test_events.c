/* The lines of a command's log that are no chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "clock.h"
#include "events.h"
#include "json.h"

#define WHEN "2026-11-22T17:08:00.123Z"
#define TAIL ",\"timestamp\":\"" WHEN "\",\"index\":2}\n"
#define CORRELATION "0b5e7c1a-1111-4222-8333-944445555666"

static char command[] = "printf \"h\xC3\xA9llo\\n\"";
static char shared[] = "shared-1";

static struct event_context context(const struct stage *stage)
{
    return (struct event_context){.correlation_id = CORRELATION,
                                  .session_id = "s-1",
                                  .cwd = "/work/\"x\"",
                                  .stage = stage,
                                  .index = 2,
                                  .attempt = 3};
}

static int64_t when(void)
{
    return clock_parse_iso(WHEN);
}

/* Each line parses, ends with a newline, and they are exactly these. */
static void assert_lines(struct buf *b, const char *want)
{
    assert_false(b->failed);
    assert_string_equal(b->data, want);
    for (const char *line = b->data; *line; line = strchr(line, '\n') + 1) {
        cJSON *doc = cJSON_ParseWithLength(line, (size_t)(strchr(line, '\n') - line));
        assert_non_null(doc);
        cJSON_Delete(doc);
    }
    buf_release(b);
}

static void test_events__begin_says_what_is_executed(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    events_start(&b, &c, when());
    events_begin(&b, &c, when());
    assert_lines(&b,
                 "{\"type\":\"command:start\",\"command\":\"printf \\\"h\xC3\xA9llo\\\\n\\\"\"" TAIL
                 "{\"type\":\"exec:begin\",\"correlation_id\":\"" CORRELATION
                 "\",\"attempt\":3,\"command\":\"printf \\\"h\xC3\xA9llo\\\\n\\\"\",\"args\":[],"
                 "\"cwd\":\"/work/\\\"x\\\"\",\"session_id\":\"s-1\","
                 "\"sandbox_state\":\"sandboxed\",\"persisted\":false" TAIL);
}

static void test_events__begin_says_that_the_session_is_kept(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command, .session_id = shared, .session_persist = true};
    struct event_context c = context(&stage);
    events_begin(&b, &c, when());
    assert_non_null(strstr(b.data, ",\"persisted\":true,"));
    buf_release(&b);
}

static void end_both(struct buf *b, const struct event_context *c, struct event_end end, bool ok)
{
    events_end(b, c, &end, ok, when());
    events_ended(b, c, &end, when());
}

static void test_events__retry_says_why_and_when(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    events_retry(&b, &c, "Exited with code 1 \xE2\x80\x94 \"x\"", 1500, when());
    assert_lines(&b, "{\"type\":\"exec:retry\",\"correlation_id\":\"" CORRELATION
                     "\",\"attempt\":3,\"delay_ms\":1500,\"sandbox_state\":\"sandboxed\","
                     "\"error_message\":\"Exited with code 1 \xE2\x80\x94 \\\"x\\\"\"" TAIL);
}

static void test_events__end_has_code_and_duration(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    end_both(&b, &c, (struct event_end){0, NULL, 1234, false}, true);
    assert_lines(&b, "{\"type\":\"exec:end\",\"correlation_id\":\"" CORRELATION
                     "\",\"attempt\":3,\"exit_code\":0,\"signal\":null,\"duration_ms\":1234,"
                     "\"status\":\"succeeded\"" TAIL
                     "{\"type\":\"command:end\",\"exit_code\":0,\"signal\":null,"
                     "\"duration_ms\":1234" TAIL);
    end_both(&b, &c, (struct event_end){255, NULL, 0, false}, false);
    assert_lines(&b, "{\"type\":\"exec:end\",\"correlation_id\":\"" CORRELATION
                     "\",\"attempt\":3,\"exit_code\":255,\"signal\":null,\"duration_ms\":0,"
                     "\"status\":\"failed\"" TAIL
                     "{\"type\":\"command:end\",\"exit_code\":255,\"signal\":null,"
                     "\"duration_ms\":0" TAIL);
}

static void test_events__end_names_the_signal_and_has_no_code(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    end_both(&b, &c, (struct event_end){-1, "SIGKILL", INT64_MAX, false}, false);
    assert_lines(&b, "{\"type\":\"exec:end\",\"correlation_id\":\"" CORRELATION
                     "\",\"attempt\":3,\"exit_code\":null,\"signal\":\"SIGKILL\","
                     "\"duration_ms\":9223372036854775807,\"status\":\"failed\"" TAIL
                     "{\"type\":\"command:end\",\"exit_code\":null,\"signal\":\"SIGKILL\","
                     "\"duration_ms\":9223372036854775807" TAIL);
}

static void test_events__warning_is_one_line_whatever_it_holds(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    events_warning(&b, &c, "a pipe\nwas left \xFF open", when());
    assert_lines(
        &b,
        "{\"type\":\"command:warning\",\"warning\":\"a pipe\\nwas left \xEF\xBF\xBD open\"" TAIL);
}

static void test_events__lines_follow_what_is_there(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct stage stage = {.command = command};
    struct event_context c = context(&stage);
    buf_addstr(&b, "{}\n");
    events_warning(&b, &c, "x", when());
    assert_lines(&b, "{}\n{\"type\":\"command:warning\",\"warning\":\"x\"" TAIL);
}

static void test_events__a_session_is_kept_only_with_an_id(void **state)
{
    (void)state;
    static const enum flag reuse[] = {FLAG_UNSET, FLAG_FALSE, FLAG_TRUE};
    for (int id = 0; id < 2; id++) {
        for (int persist = 0; persist < 2; persist++) {
            for (size_t i = 0; i < 3; i++) {
                struct stage stage = {.session_id = id ? shared : NULL,
                                      .session_persist = persist,
                                      .session_reuse = reuse[i]};
                assert_int_equal(session_persisted(&stage),
                                 id && (persist || reuse[i] == FLAG_TRUE));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events__begin_says_what_is_executed),
        cmocka_unit_test(test_events__begin_says_that_the_session_is_kept),
        cmocka_unit_test(test_events__retry_says_why_and_when),
        cmocka_unit_test(test_events__end_has_code_and_duration),
        cmocka_unit_test(test_events__end_names_the_signal_and_has_no_code),
        cmocka_unit_test(test_events__warning_is_one_line_whatever_it_holds),
        cmocka_unit_test(test_events__lines_follow_what_is_there),
        cmocka_unit_test(test_events__a_session_is_kept_only_with_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
