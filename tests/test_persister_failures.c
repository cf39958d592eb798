/* The single writer and a disk that fails: tried again, given up loudly, nobody else held up. */
#include "by_hand.h"

static void test_persister__tries_a_failed_write_again(void **state)
{
    struct fixture *f = *state;
    begin(f, 1);
    let_fail(3, -1, ENOSPC);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 0, "+\n")), 0);
    assert_int_equal(atomic_load(&failing), 0);
    assert_status(&f->seen, "in_progress", 0, "running");
    assert_int_equal(atomic_load(&f->j->failed), 0);
    assert_no_temporary_left(f);
    assert_int_equal(close_run(f, f->j), 0);
    assert_int_equal(f->failures, 0);
    assert_int_equal(f->j->manifest_writes, 2);
    end(f);
}

/* Every look at the clock costs a second, so that ten of them pass quickly. */
static void test_persister__fails_a_run_whose_manifest_stays_unwritable(void **state)
{
    struct fixture *f = *state;
    clock_inject(NULL, test_mono_ns);
    atomic_store(&step, SECOND);
    begin(f, 1);
    let_fail(1000000, -1, EROFS);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 0, "+\n")), EROFS);
    assert_string_equal(f->seen.data, "?");
    assert_int_equal(atomic_load(&f->j->failed), EROFS);
    assert_in_range(1000000 - atomic_load(&failing), 2, 11); /* again and again, not for ever */
    assert_no_temporary_left(f);
    let_fail(0, -1, 0);
    struct mutation *m = mutation(f->j, MUTATION_CLOSE, 0);
    m->status = RUN_FAILED;
    assert_int_equal(push_and_wait(f, 0, m), 0);
    assert_status(&f->seen, "failed", 0, "running");
    assert_int_equal(f->failures, 1);
    end(f);
}

static void test_persister__fails_a_run_whose_log_stays_unwritable(void **state)
{
    struct fixture *f = *state;
    clock_inject(NULL, test_mono_ns);
    atomic_store(&step, SECOND);
    begin(f, 1);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_true(dup3(full, f->j->runner_fd, O_CLOEXEC) >= 0);
    close(full);
    open_run(f, f->j);
    assert_int_equal(push_and_wait(f, 1, start_of(f, 0, "+\n")), ENOSPC);
    assert_int_equal(atomic_load(&f->j->failed), ENOSPC);
    assert_int_equal(close_run(f, f->j), 0);
    assert_int_equal(f->failures, 1);
    end(f);
}

/* The clock stands still, so the failed write is not tried again before the test wants it. */
static void test_persister__does_not_let_one_run_wait_for_the_disk_of_another(void **state)
{
    struct fixture *f = *state;
    clock_inject(NULL, test_mono_ns);
    begin(f, 1);
    struct journal *other = new_run(f, 1);
    let_fail(1, f->j->dir.fd, EIO);
    open_run(f, f->j);
    open_run(f, other);
    struct mutation *m = mutation(f->j, MUTATION_CLOSE, 0);
    m->status = RUN_FAILED;
    push_seen(f, 0, m);
    assert_int_equal(close_run(f, other), 0);
    assert_int_equal(atomic_load(&failing), 0);
    assert_status(&f->seen, "succeeded", 0, "pending"); /* it is the other one's */
    advance(f, WRITE_RETRY_PAUSE_MS * SECOND / 1000);
    wait_applied(f);
    assert_int_equal(f->error, 0);
    assert_status(&f->seen, "failed", 0, "pending");
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_persister__tries_a_failed_write_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_persister__fails_a_run_whose_manifest_stays_unwritable,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_persister__fails_a_run_whose_log_stays_unwritable,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_persister__does_not_let_one_run_wait_for_the_disk_of_another, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
