/* Whether a run is live, stale or interrupted, by its lock, its heartbeat and its status. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "activity.h"
#include "clock.h"
#include "run_lock.h"
#include "tmpdir.h"

#define NOW INT64_C(1795367280123) /* 2026-11-22T17:08:00.123Z */
#define AGO_31 "2026-11-22T17:07:29.000Z"
#define AGO_30 "2026-11-22T17:07:30.123Z"
#define RECENT "2026-11-22T17:07:59.000Z"

struct place {
    char path[64], rel[8];
    struct rundir dir;
    int holder; /* another descriptor of the folder, which holds the lock */
    cJSON *manifest;
    struct activity seen;
    struct err e;
};

static int64_t now(void)
{
    return NOW;
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    clock_inject(now, NULL);
    tmpdir_make(p->path);
    strcpy(p->rel, "r");
    p->dir = (struct rundir){open_folder(p->path), p->path, p->rel};
    p->holder = -1;
    assert_true(p->dir.fd >= 0);
    *state = p;
    return 0;
}

static void release_lock(struct place *p)
{
    if (p->holder >= 0)
        close(p->holder);
    p->holder = -1;
}

static int teardown(void **state)
{
    struct place *p = *state;
    release_lock(p);
    close(p->dir.fd);
    cJSON_Delete(p->manifest);
    tmpdir_remove(p->path);
    free(p);
    clock_inject(NULL, NULL);
    return 0;
}

static void take_lock(struct place *p)
{
    p->holder = run_lock(p->dir.fd);
    assert_true(p->holder >= 0);
}

static void write_file(const struct place *p, const char *name, const char *text)
{
    int fd = openat(p->dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* A manifest of that status and heartbeat, stale after 30 s. */
static void write_manifest(const struct place *p, const char *status, const char *heartbeat)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"status\":\"%s\",\"heartbeat_at\":\"%s\",\"heartbeat_stale_after_seconds\":30}",
             status, heartbeat);
    write_file(p, "manifest.json", text);
}

static void expect_state(struct place *p, enum activity_state state)
{
    cJSON_Delete(p->manifest);
    p->manifest = NULL;
    if (activity_look(&p->dir, &p->manifest, &p->seen, &p->e) != 0)
        fail_msg("%s", p->e.text);
    assert_non_null(p->manifest);
    assert_string_equal(activity_name(p->seen.state), activity_name(state));
    assert_int_equal(p->seen.locked, p->holder >= 0 && state != ACTIVITY_FINISHED);
}

static void test_activity__finished_whatever_lock_and_heartbeat_say(void **state)
{
    static const char *const statuses[] = {"succeeded", "failed", "cancelled"};
    struct place *p = *state;
    for (size_t i = 0; i < 3; i++) {
        write_manifest(p, statuses[i], AGO_31);
        expect_state(p, ACTIVITY_FINISHED);
        assert_string_equal(activity_name(p->seen.state), "finished");
        take_lock(p);
        expect_state(p, ACTIVITY_FINISHED);
        release_lock(p);
    }
}

static void test_activity__live_while_the_lock_is_held(void **state)
{
    struct place *p = *state;
    take_lock(p);
    write_manifest(p, "in_progress", RECENT);
    expect_state(p, ACTIVITY_LIVE);
    assert_string_equal(activity_name(p->seen.state), "live");
    assert_int_equal(p->seen.stale_after_ms, 30000);
    write_manifest(p, "queued", RECENT);
    expect_state(p, ACTIVITY_LIVE);
}

static void test_activity__live_before_its_first_heartbeat(void **state)
{
    struct place *p = *state;
    take_lock(p);
    write_file(p, "manifest.json", "{\"status\":\"queued\",\"heartbeat_at\":null}");
    expect_state(p, ACTIVITY_LIVE);
    assert_int_equal(p->seen.heartbeat_ms, CLOCK_NEVER);
}

static void test_activity__stale_when_its_holder_gives_no_heartbeat(void **state)
{
    struct place *p = *state;
    take_lock(p);
    write_manifest(p, "in_progress", AGO_30);
    expect_state(p, ACTIVITY_LIVE);
    write_manifest(p, "in_progress", AGO_31);
    expect_state(p, ACTIVITY_STALE);
    assert_string_equal(activity_name(p->seen.state), "stale");
    assert_int_equal(p->seen.heartbeat_ms, NOW - 31123);
}

static void test_activity__interrupted_as_soon_as_the_lock_is_gone(void **state)
{
    struct place *p = *state;
    write_manifest(p, "in_progress", RECENT);
    take_lock(p);
    expect_state(p, ACTIVITY_LIVE);
    release_lock(p);
    expect_state(p, ACTIVITY_INTERRUPTED);
    assert_string_equal(activity_name(p->seen.state), "interrupted");
    write_manifest(p, "queued", RECENT);
    expect_state(p, ACTIVITY_INTERRUPTED);
}

static void test_activity__goes_by_the_heartbeat_where_nobody_locks(void **state)
{
    struct place *p = *state;
    assert_int_equal(chmod(p->path, 0755), 0);
    write_manifest(p, "in_progress", AGO_30);
    expect_state(p, ACTIVITY_LIVE);
    write_manifest(p, "in_progress", AGO_31);
    expect_state(p, ACTIVITY_INTERRUPTED);
}

static void test_activity__takes_the_newest_heartbeat(void **state)
{
    struct place *p = *state;
    take_lock(p);
    write_manifest(p, "in_progress", AGO_31);
    write_file(p, ".heartbeat", RECENT "\n");
    expect_state(p, ACTIVITY_LIVE);
    assert_int_equal(p->seen.heartbeat_ms, NOW - 1123);
    write_manifest(p, "in_progress", RECENT);
    write_file(p, ".heartbeat", AGO_31 "\n");
    expect_state(p, ACTIVITY_LIVE);
    assert_int_equal(p->seen.heartbeat_ms, NOW - 1123);
    write_file(p, ".heartbeat", "never\n");
    expect_state(p, ACTIVITY_LIVE);
}

static void test_activity__takes_no_heartbeat_through_a_link(void **state)
{
    struct place *p = *state;
    assert_int_equal(chmod(p->path, 0755), 0); /* a fresh heartbeat would mean live then */
    write_manifest(p, "in_progress", AGO_31);
    write_file(p, "planted", RECENT "\n");
    assert_int_equal(symlinkat("planted", p->dir.fd, ".heartbeat"), 0);
    expect_state(p, ACTIVITY_INTERRUPTED);
}

static void test_activity__limit_is_the_manifests(void **state)
{
    struct place *p = *state;
    take_lock(p);
    write_file(p, "manifest.json",
               "{\"status\":\"in_progress\",\"heartbeat_at\":\"" AGO_31
               "\",\"heartbeat_stale_after_seconds\":60}");
    expect_state(p, ACTIVITY_LIVE);
    assert_int_equal(p->seen.stale_after_ms, 60000);
    write_file(p, "manifest.json",
               "{\"status\":\"in_progress\",\"heartbeat_at\":\"" AGO_31
               "\",\"heartbeat_stale_after_seconds\":-1}");
    expect_state(p, ACTIVITY_STALE);
    assert_int_equal(p->seen.stale_after_ms, 30000);
}

static void test_activity__leaves_the_lock_free(void **state)
{
    struct place *p = *state;
    write_manifest(p, "in_progress", RECENT);
    expect_state(p, ACTIVITY_INTERRUPTED);
    take_lock(p);
}

static void expect_error(struct place *p, const char *why)
{
    char want[160];
    snprintf(want, sizeof want, "%s/manifest.json%s", p->path, why);
    assert_int_equal(activity_look(&p->dir, &p->manifest, &p->seen, &p->e), -1);
    if (!strstr(p->e.text, want))
        fail_msg("'%s' lacks '%s'", p->e.text, want);
    assert_null(p->manifest);
}

static void test_activity__names_a_manifest_it_cant_read(void **state)
{
    struct place *p = *state;
    expect_error(p, ": No such file or directory");
    write_file(p, "manifest.json", "{\"status\":\n  x}");
    expect_error(p, ":2:3: not valid JSON");
    write_file(p, "manifest.json", "[]");
    expect_error(p, ": \"status\" is missing or unknown");
    write_manifest(p, "happy", RECENT);
    expect_error(p, ": \"status\" is missing or unknown");
    assert_int_equal(unlinkat(p->dir.fd, "manifest.json", 0), 0);
    write_file(p, "planted", "{\"status\":\"failed\"}");
    assert_int_equal(symlinkat("planted", p->dir.fd, "manifest.json"), 0);
    expect_error(p, ": Too many levels of symbolic links");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_activity__finished_whatever_lock_and_heartbeat_say),
        TEST(test_activity__live_while_the_lock_is_held),
        TEST(test_activity__live_before_its_first_heartbeat),
        TEST(test_activity__stale_when_its_holder_gives_no_heartbeat),
        TEST(test_activity__interrupted_as_soon_as_the_lock_is_gone),
        TEST(test_activity__goes_by_the_heartbeat_where_nobody_locks),
        TEST(test_activity__takes_the_newest_heartbeat),
        TEST(test_activity__takes_no_heartbeat_through_a_link),
        TEST(test_activity__limit_is_the_manifests),
        TEST(test_activity__leaves_the_lock_free),
        TEST(test_activity__names_a_manifest_it_cant_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
