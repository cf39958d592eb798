/* Times as text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "clock.h"

static void assert_iso(int64_t ms, const char *want)
{
    char text[CLOCK_ISO_LEN + 1];
    memset(text, 'x', sizeof text);
    clock_iso(ms, text);
    assert_string_equal(text, want);
    assert_true(clock_parse_iso(want) == ms);
}

static void test_clock__writes_and_reads_the_same_form(void **state)
{
    (void)state;
    assert_iso(0, "1970-01-01T00:00:00.000Z");
    assert_iso(951782399999, "2000-02-28T23:59:59.999Z");
    assert_iso(951782400000, "2000-02-29T00:00:00.000Z");
    assert_iso(1077926399000, "2004-02-27T23:59:59.000Z");
    assert_iso(1795367280123, "2026-11-22T17:08:00.123Z");
    assert_iso(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_iso(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void test_clock__agrees_with_the_c_library_on_every_day(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 200 * 366; day++) {
        char text[CLOCK_ISO_LEN + 1], want[CLOCK_ISO_LEN + 1];
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.007Z", &tm), CLOCK_ISO_LEN);
        clock_iso((int64_t)seconds * 1000 + 7, text);
        assert_string_equal(text, want);
    }
}

static void test_clock__time_before_1970_is_written_as_1970(void **state)
{
    (void)state;
    char text[CLOCK_ISO_LEN + 1];
    clock_iso(-1, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void test_clock__reads_fractions_of_any_width(void **state)
{
    (void)state;
    assert_true(clock_parse_iso("1970-01-01T00:00:01Z") == 1000);
    assert_true(clock_parse_iso("1970-01-01T00:00:01.5Z") == 1500);
    assert_true(clock_parse_iso("1970-01-01T00:00:01.05Z") == 1050);
    assert_true(clock_parse_iso("1970-01-01T00:00:01.123456789Z") == 1123);
}

static void test_clock__refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "2026-11-22",
        "2026-11-22T17:08:00",
        "2026-11-22T17:08:00+01:00",
        "2026-11-22T17:08:00.Z",
        "2026-11-22T17:08:00.1234567890Z",
        "2026-11-22T17:08:00.12xZ",
        "2026-11-22T17:08:00Z ",
        "2026-11-22 17:08:00Z",
        " 026-11-22T17:08:00Z",
        "+026-11-22T17:08:00Z",
        "2026-+1-22T17:08:00Z",
        "2026- 1-22T17:08:00Z",
        "2026-1-22T17:08:000Z",
        "2026-13-22T17:08:00Z",
        "2026-00-22T17:08:00Z",
        "2026-02-30T17:08:00Z",
        "2026-11-00T17:08:00Z",
        "2026-11-22T24:08:00Z",
        "2026-11-22T17:60:00Z",
        "2026-11-22T17:08:60Z",
        "1969-12-31T23:59:59.999Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(clock_parse_iso(texts[i]) == CLOCK_NEVER);
    assert_true(clock_parse_iso(NULL) == CLOCK_NEVER);
}

static int64_t fixed_wall(void)
{
    return 1234;
}

static int64_t fixed_mono(void)
{
    return 5678;
}

static void test_clock__sources_are_injected_and_restored(void **state)
{
    (void)state;
    clock_inject(fixed_wall, fixed_mono);
    assert_true(clock_wall_ms() == 1234);
    assert_true(clock_mono_ns() == 5678);
    clock_inject(NULL, NULL);
    int64_t before = (int64_t)time(NULL);
    int64_t wall = clock_wall_ms() / 1000;
    assert_true(wall >= before - 1 && wall <= (int64_t)time(NULL) + 1);
    int64_t mono = clock_mono_ns();
    assert_true(mono != 5678 && clock_mono_ns() >= mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__writes_and_reads_the_same_form),
        cmocka_unit_test(test_clock__agrees_with_the_c_library_on_every_day),
        cmocka_unit_test(test_clock__time_before_1970_is_written_as_1970),
        cmocka_unit_test(test_clock__reads_fractions_of_any_width),
        cmocka_unit_test(test_clock__refuses_what_is_no_time),
        cmocka_unit_test(test_clock__sources_are_injected_and_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
