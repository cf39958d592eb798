/* Only persister.c replaces a run's manifest.json (I7), and one write at a time. */
#include "by_hand.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Reads what a command prints. */
static void output_of(const char *command, struct buf *out)
{
    char bytes[4096];
    size_t n;
    FILE *f = popen(command, "re");
    assert_non_null(f);
    while ((n = fread(bytes, 1, sizeof bytes, f)) > 0)
        buf_add(out, bytes, n);
    assert_int_equal(pclose(f), 0);
}

/* Who else replaces files is known here: who joins them must be thought about. */
static void test_single_writer__shares_atomic_replacement_with_known_objects_only(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    output_of("nm -A --undefined-only '" BINARY_DIR "/libcorch.a' | "
              "sed -n 's/.*:\\(.*\\)\\.c\\.o:.* atomicfile_\\(replace\\|begin\\)$/\\1/p' | sort -u "
              "| tr '\\n' ' '",
              &out);
    assert_string_equal(out.data, "batch epilogue exec_record journal metrics persister taskdir ");
    buf_release(&out);
}

/* Counts the calls of `function` that name "manifest.json". */
static unsigned calls_with_manifest(const char *function, const struct buf *source)
{
    unsigned n = 0;
    for (const char *at = source->data; (at = strstr(at, function)); at++) {
        const char *end_of_call = strchr(at, ';');
        const char *name = strstr(at, "\"manifest.json\"");
        n += name && end_of_call && name < end_of_call;
    }
    return n;
}

static unsigned replaces_manifest(const struct buf *source)
{
    return calls_with_manifest("atomicfile_replace(", source) +
           calls_with_manifest("atomicfile_begin(", source);
}

/* epilogue.c is about .runs/<task>/<run>/manifest.json, a summary of that name. */
static void test_single_writer__is_the_only_source_that_replaces_a_run_manifest(void **state)
{
    (void)state;
    DIR *d = opendir(SOURCE_DIR "/src");
    struct dirent *entry;
    unsigned persister = 0, epilogue = 0;
    assert_non_null(d);
    while ((entry = readdir(d))) {
        struct buf text = BUF_INIT;
        size_t n = strlen(entry->d_name);
        if (n < 3 || strcmp(entry->d_name + n - 2, ".c") != 0)
            continue;
        assert_int_equal(json_slurp(dirfd(d), entry->d_name, false, &text), 0);
        unsigned calls = replaces_manifest(&text);
        buf_release(&text);
        if (strcmp(entry->d_name, "persister.c") == 0)
            persister = calls;
        else if (strcmp(entry->d_name, "epilogue.c") == 0)
            epilogue = calls;
        else if (calls)
            fail_msg("%s replaces manifest.json", entry->d_name);
    }
    closedir(d);
    assert_int_equal(persister, 1);
    assert_int_equal(epilogue, 1);
}

/* Runs `misuse` in a process of its own; the signal that ended it. */
static int signal_of(void (*misuse)(struct journal *), struct journal *j)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        close(2); /* what assert prints */
        misuse(j);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void write_while_writing(struct journal *j)
{
    atomic_store(&j->writing, true);
    persister_write_closed(j);
}

static void write_while_open(struct journal *j)
{
    j->open = true;
    persister_write_closed(j);
}

static void write_as_intended(struct journal *j)
{
    persister_write_closed(j);
}

static void test_single_writer__aborts_on_two_writers_of_one_manifest(void **state)
{
    struct fixture *f = *state;
    f->pipeline = (struct pipeline){.n_stages = 0, .stages = calloc(1, sizeof(struct stage))};
    f->pipeline.title = f->pipeline.id = strdup("p");
    f->j = new_run(f, 0);
    assert_int_equal(signal_of(write_while_writing, f->j), SIGABRT);
    assert_int_equal(signal_of(write_while_open, f->j), SIGABRT);
    assert_int_equal(signal_of(write_as_intended, f->j), 0);
    run_free(f->runs_live[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_single_writer__shares_atomic_replacement_with_known_objects_only, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_single_writer__is_the_only_source_that_replaces_a_run_manifest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_writer__aborts_on_two_writers_of_one_manifest,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
