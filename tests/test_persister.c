/* The single writer, driven by hand: what is on disk when, in which order, and how often. */
#include "by_hand.h"

#include <pthread.h>

/* ---- order ---- */

static void test_persister__has_a_start_on_disk_before_it_is_applied(void **state)
{
    struct fixture *f = *state;
    begin(f, 2);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 1, "one\ntwo\n")), 0);
    assert_status(&f->seen, "in_progress", 1, "running");
    assert_status(&f->seen, "in_progress", 0, "pending");
    assert_file(f, "runner.ndjson", "one\ntwo\n");
    assert_file(f, "commands/02-s2.ndjson", "one\ntwo\n");
    assert_int_equal(close_run(f, f->j), 0);
    end(f);
}

static void test_persister__has_the_end_of_a_run_on_disk_before_it_is_applied(void **state)
{
    struct fixture *f = *state;
    begin(f, 1);
    open_run(f, f->j);
    struct mutation *m = mutation(f->j, MUTATION_CLOSE, 0);
    m->status = RUN_FAILED;
    m->status_detail = strdup("stage:s1:failed");
    m->run_summary_line = strdup("It failed.");
    assert_int_equal(push_and_wait(f, 0, m), 0);
    assert_status(&f->seen, "failed", 0, "pending");
    cJSON *doc = parsed(&f->seen);
    assert_string_equal(member(doc, "status_detail"), "stage:s1:failed");
    assert_string_equal(member(doc, "summary"), "It failed.");
    assert_true(clock_parse_iso(json_get_str(doc, "completed_at")) > 0);
    cJSON_Delete(doc);
    assert_false(f->j->open); /* it is ours again */
    assert_false(f->j->dirty);
    end(f);
}

enum { ORDER_STAGES = 30, ORDER_CHUNKS = 20, ORDER_CHUNK = 1000 };

struct reader {
    struct fixture *f;
    int events;
    unsigned looks, succeeded, too_early;
    bool gave_up;
    pthread_t thread;
};

/* How long the logs of that many succeeded commands are: a start line "+\n" each, and chunks. */
#define ORDER_LOG ((off_t)(2 + ORDER_CHUNKS * ORDER_CHUNK))

static void look_at_logs(struct reader *r, const cJSON *doc)
{
    const cJSON *entry;
    struct stat st;
    size_t i = 0, succeeded = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(doc, "commands"))
    {
        char name[128];
        rundir_command_file(name, sizeof name, "commands", ++i, member(entry, "id"), "ndjson");
        if (strcmp(member(entry, "status"), "succeeded") != 0)
            continue;
        succeeded++;
        if (fstatat(r->f->j->dir.fd, name, &st, 0) != 0 || st.st_size != ORDER_LOG)
            r->too_early++;
    }
    if (fstatat(r->f->j->dir.fd, "runner.ndjson", &st, 0) != 0 ||
        st.st_size < (off_t)succeeded * ORDER_LOG)
        r->too_early++;
    r->succeeded += (unsigned)succeeded;
}

/* Reads each manifest that appears, until it says that the run is over. */
static void *read_manifests(void *arg)
{
    struct reader *r = arg;
    struct buf text = BUF_INIT;
    bool over = false;
    while (!over && !r->gave_up) {
        r->gave_up = !wait_folder(r->events);
        read_file(r->f->j, "manifest.json", &text);
        cJSON *doc = cJSON_ParseWithLength(text.data, text.len);
        look_at_logs(r, doc);
        over = strcmp(member(doc, "status"), "succeeded") == 0;
        cJSON_Delete(doc);
        r->looks++;
    }
    buf_release(&text);
    return NULL;
}

/* I2, I3: who believes a manifest finds in the logs what it speaks of. */
static void test_persister__never_says_succeeded_before_the_output_is_in_the_logs(void **state)
{
    struct fixture *f = *state;
    char line[ORDER_CHUNK];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    begin(f, ORDER_STAGES);
    struct reader r = {.f = f, .events = watch_folder(f->j, IN_MOVED_TO)};
    assert_int_equal(pthread_create(&r.thread, NULL, read_manifests, &r), 0);
    open_run(f, f->j);
    for (size_t i = 0; i < ORDER_STAGES; i++) {
        assert_int_equal(push_and_wait(f, 1, start_of(f, i, "+\n")), 0);
        for (int n = 0; n < ORDER_CHUNKS; n++)
            push_lines(f, i, line, sizeof line);
        push(f, 1, mutation(f->j, MUTATION_STAGE_END, i));
    }
    /* the ends came by another outbox: wait for the last before the close overtakes it */
    struct mutation *last = start_of(f, 0, "");
    assert_int_equal(push_and_wait(f, 1, last), EINVAL);
    assert_int_equal(close_run(f, f->j), 0);
    pthread_join(r.thread, NULL);
    close(r.events);
    assert_false(r.gave_up);
    assert_int_equal(r.too_early, 0);
    assert_true(r.looks > 1);
    assert_true(r.succeeded > ORDER_STAGES); /* some of it was seen before the end */
    end(f);
}

/* ---- how often ---- */

enum { MANY = 1000 };

static void assert_all_succeeded(const struct buf *text)
{
    cJSON *doc = parsed(text);
    const cJSON *entry, *list = cJSON_GetObjectItemCaseSensitive(doc, "commands");
    assert_int_equal(cJSON_GetArraySize(list), MANY);
    cJSON_ArrayForEach(entry, list) assert_string_equal(member(entry, "status"), "succeeded");
    assert_string_equal(member(doc, "status"), "succeeded");
    cJSON_Delete(doc);
}

static void test_persister__joins_a_thousand_changes_in_few_writes(void **state)
{
    struct fixture *f = *state;
    begin(f, MANY);
    start_all_beforehand(f);
    open_run(f, f->j);
    for (size_t i = 0; i < MANY; i++)
        push(f, 0, mutation(f->j, MUTATION_STAGE_END, i));
    assert_int_equal(close_run(f, f->j), 0);
    assert_in_range(f->j->manifest_writes, 1, 99);
    assert_all_succeeded(&f->seen);
    end(f);
}

/* No time passes, so nothing but the end of the run is due. */
static void test_persister__writes_only_what_somebody_waits_for_within_a_moment(void **state)
{
    struct fixture *f = *state;
    clock_inject(NULL, test_mono_ns);
    begin(f, MANY);
    start_all_beforehand(f);
    open_run(f, f->j);
    for (size_t i = 0; i < MANY; i++)
        push(f, 0, mutation(f->j, MUTATION_STAGE_END, i));
    assert_int_equal(close_run(f, f->j), 0);
    assert_int_equal(f->j->manifest_writes, 1);
    assert_all_succeeded(&f->seen);
    end(f);
}

static void test_persister__writes_a_change_soon_although_nobody_waits(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_INIT;
    clock_inject(NULL, test_mono_ns);
    begin(f, 1);
    start_all_beforehand(f);
    int events = watch_folder(f->j, IN_MOVED_TO);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 0, mutation(f->j, MUTATION_STAGE_END, 0)), 0);
    assert_string_equal(f->seen.data, "?"); /* not yet */
    advance(f, COALESCE_MS * SECOND / 1000);
    assert_true(wait_folder(events));
    read_file(f->j, "manifest.json", &text);
    assert_status(&text, "in_progress", 0, "succeeded");
    buf_release(&text);
    close(events);
    assert_int_equal(close_run(f, f->j), 0);
    end(f);
}

/* Applies two ends. Between them the persister has looked whether a write is due. */
static void apply_two_ends(struct fixture *f, size_t index)
{
    push(f, 0, mutation(f->j, MUTATION_STAGE_END, index));
    assert_int_equal(push_and_wait(f, 0, mutation(f->j, MUTATION_STAGE_END, index + 1)), 0);
}

/* The write takes two seconds: one for the file, one for the folder. */
static void test_persister__waits_in_proportion_to_what_the_last_write_took(void **state)
{
    struct fixture *f = *state;
    static const struct atomicfile_calls slow = {.fsync = slow_fsync};
    atomicfile_inject(&slow);
    clock_inject(NULL, test_mono_ns);
    begin(f, 7);
    for (size_t i = 1; i < 7; i++)
        manifest_stage_event(&f->j->manifest, i, STAGE_EV_START, WALL);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 0, "")), 0);
    unsigned long writes = atomicfile_count();
    apply_two_ends(f, 1);
    advance(f, 2 * COALESCE_FACTOR * SECOND - 1);
    apply_two_ends(f, 3);
    assert_int_equal(atomicfile_count(), writes);
    advance(f, 1);
    apply_two_ends(f, 5);
    assert_int_equal(atomicfile_count(), writes + 1);
    assert_int_equal(close_run(f, f->j), 0);
    assert_int_equal(f->j->manifest_writes, 3);
    end(f);
}

/* In the ten minutes of a command that says nothing, too, the manifest is only replaced for its start and
 * its end. */
static void test_persister__beats_every_five_seconds_and_dirties_no_manifest(void **state)
{
    enum { BEATS = 10 * 60 / HEARTBEAT_SECONDS };
    struct fixture *f = *state;
    clock_inject(test_wall_ms, test_mono_ns);
    begin(f, 1);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 0, "")), 0);
    int events = watch_folder(f->j, IN_MODIFY);
    unsigned long writes = atomicfile_count();
    for (int beats = 1; beats <= BEATS; beats++) {
        char expected[CLOCK_ISO_LEN + 2];
        advance(f, HEARTBEAT_SECONDS * SECOND);
        assert_true(wait_folder(events));
        clock_iso(test_wall_ms(), expected);
        strcat(expected, "\n");
        assert_file(f, ".heartbeat", expected);
    }
    close(events);
    advance(f, HEARTBEAT_SECONDS * SECOND - 1); /* not yet */
    assert_int_equal(atomicfile_count(), writes);
    assert_int_equal(close_run(f, f->j), 0);
    assert_int_equal(f->j->heartbeat_writes, BEATS);
    assert_int_equal(f->j->manifest_writes, 2);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_persister__has_a_start_on_disk_before_it_is_applied,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__has_the_end_of_a_run_on_disk_before_it_is_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__never_says_succeeded_before_the_output_is_in_the_logs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_persister__joins_a_thousand_changes_in_few_writes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__writes_only_what_somebody_waits_for_within_a_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_persister__writes_a_change_soon_although_nobody_waits,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__waits_in_proportion_to_what_the_last_write_took, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__beats_every_five_seconds_and_dirties_no_manifest, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
