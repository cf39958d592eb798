/* Frames of a run: in order, counted, exact, and never in the run's way. */
#include "live.h"

#include <poll.h>

#include "bounds.h"

#define SUBPIPELINE(id, pipeline) \
    "{\"kind\":\"subpipeline\",\"id\":\"" id "\",\"pipeline\":\"" pipeline "\"}"

static void run_watched(struct live *l, const char *config)
{
    live_config(l, config);
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    live_ends(l, "succeeded");
}

/* The kind of a frame as text: "chunk 1", "run in_progress", "stage 1 running", "exec:begin". */
static void describe(const corch_frame *f, struct buf *out)
{
    if (f->kind == CORCH_FRAME_CHUNK) {
        buf_addf(out, "chunk %zu %d", f->stage, f->stream);
    } else if (f->kind == CORCH_FRAME_STATE && f->stage == 0) {
        buf_addf(out, "run %s", f->status);
    } else if (f->kind == CORCH_FRAME_STATE) {
        buf_addf(out, "stage %zu %s", f->stage, f->status);
    } else {
        cJSON *doc = cJSON_Parse(f->json);
        buf_addf(out, "%s %zu", text_of(doc, "type"), f->stage);
        cJSON_Delete(doc);
    }
    buf_addch(out, '\n');
}

/* Fewer frames than there are slots: none is lost, also when they are taken after the end. */
static void test_corch_watch__shows_a_run_in_order(void **state)
{
    struct live *l = *state;
    struct buf seen = BUF_INIT;
    corch_frame f;
    uint64_t sequence = 0;
    run_watched(l,
                CONFIG(PIPELINE("p", COMMAND("a", "echo one") "," COMMAND("b", "echo two >&2"))));
    while (corch_run_next(l->run, &f, -1) == 1) {
        assert_int_equal(f.sequence, ++sequence);
        assert_int_equal(f.lost, 0);
        assert_string_equal(f.run_id, l->result->run_id);
        describe(&f, &seen);
    }
    assert_string_equal(seen.data, "run in_progress\n"
                                   "command:start 1\nexec:begin 1\nstage 1 running\n"
                                   "chunk 1 1\n"
                                   "exec:end 1\ncommand:end 1\nstage 1 succeeded\n"
                                   "command:start 2\nexec:begin 2\nstage 2 running\n"
                                   "chunk 2 2\n"
                                   "exec:end 2\ncommand:end 2\nstage 2 succeeded\n"
                                   "run succeeded\n");
    assert_int_equal(corch_run_next(l->run, &f, 0), 0);
    assert_int_equal(corch_run_lost(l->run), 0);
    buf_release(&seen);
}

/* Printed with one write, so that there are fewer frames than slots. */
static void test_corch_watch__gives_the_exact_text(void **state)
{
    struct live *l = *state;
    char line[MADE_LINE];
    corch_frame f;
    unsigned long wrong = 0;
    struct buf got = BUF_INIT;
    run_watched(l, ONE_COMMAND("$M lines 500 >f; exec cat f"));
    while (corch_run_next(l->run, &f, -1) == 1) {
        if (f.kind == CORCH_FRAME_CHUNK) {
            assert_int_equal(f.data[f.size], '\0');
            buf_add(&got, f.data, f.size);
        }
    }
    assert_int_equal(got.len, 500 * MADE_LINE);
    for (unsigned long i = 0; i < 500; i++) {
        made_line(line, i + 1);
        wrong += memcmp(got.data + i * MADE_LINE, line, MADE_LINE) != 0;
    }
    assert_int_equal(wrong, 0);
    buf_release(&got);
}

static void test_corch_watch__gives_the_exact_bytes_of_what_is_no_text(void **state)
{
    struct live *l = *state;
    corch_frame f;
    uint64_t row = 5;
    size_t wrong = 0, total = 0;
    run_watched(l, ONE_COMMAND("exec $M bytes 20000 5"));
    while (corch_run_next(l->run, &f, -1) == 1) {
        for (size_t i = 0; f.kind == CORCH_FRAME_CHUNK && i < f.size; i++, total++)
            wrong += f.data[i] != made_byte(&row);
    }
    assert_int_equal(total, 20000);
    assert_int_equal(wrong, 0);
}

/* The command ends only when its output has been seen. */
static void test_corch_watch__shows_output_while_the_command_runs(void **state)
{
    struct live *l = *state;
    live_config(l, ONE_COMMAND("echo question; read x < $FIFO; echo $x"));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    corch_frame f = live_first_output(l);
    assert_string_equal(f.data, "question\n");
    assert_int_equal(corch_run_next(l->run, &f, 0), -1);
    FILE *answer = fopen(l->fifo, "we");
    assert_non_null(answer);
    fputs("answer\n", answer);
    fclose(answer);
    f = live_first_output(l);
    assert_string_equal(f.data, "answer\n");
    live_ends(l, "succeeded");
}

/* 16 MB are at least 244 chunks. Every line of the log is a frame, and so are four states, which
 * output does not crowd out. */
static void test_corch_watch__counts_what_a_watcher_misses_who_takes_nothing(void **state)
{
    struct live *l = *state;
    corch_frame f;
    uint64_t taken = 0, states = 0, last = 0;
    run_watched(l, ONE_COMMAND("exec $M lines 200000"));
    struct printed p = live_log(l, l->result->log_path);
    uint64_t lost = corch_run_lost(l->run);
    assert_int_equal(p.streams[0].len, 200000 * MADE_LINE);
    assert_int_equal(lost + WATCH_FRAMES, p.lines);
    while (corch_run_next(l->run, &f, -1) == 1) {
        assert_int_equal(f.sequence, last + 1 + f.lost);
        last = f.sequence;
        taken++;
        states += f.kind == CORCH_FRAME_STATE;
        if (taken <= WATCH_FRAMES + 2) /* slots were empty then */
            assert_int_equal(f.sequence, taken);
    }
    assert_int_equal(taken, WATCH_FRAMES + 4);
    assert_int_equal(states, 4);
    printed_release(&p);
}

/* Takes one frame for each that is lost and a few more: numbers and gaps must agree. */
static void test_corch_watch__says_how_many_frames_a_gap_has(void **state)
{
    struct live *l = *state;
    corch_frame f;
    uint64_t last = 0, gaps = 0;
    live_config(l, ONE_COMMAND("exec $M lines 200000"));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    struct pollfd over = {.fd = corch_run_fd(l->run), .events = POLLIN};
    while (corch_run_lost(l->run) == 0 && poll(&over, 1, 1) == 0)
        continue; /* until all slots are full */
    assert_true(corch_run_lost(l->run) > 0);
    while (corch_run_next(l->run, &f, -1) == 1) {
        assert_int_equal(f.sequence, last + 1 + f.lost);
        last = f.sequence;
        gaps += f.lost;
    }
    live_ends(l, "succeeded");
    struct printed p = live_log(l, l->result->log_path);
    assert_int_equal(last + (corch_run_lost(l->run) - gaps), p.lines + 4);
    printed_release(&p);
}

static void test_corch_watch__tells_a_subpipelines_frames_apart(void **state)
{
    struct live *l = *state;
    corch_frame f;
    unsigned of_child = 0;
    run_watched(
        l,
        CONFIG(PIPELINE(
            "p",
            COMMAND(
                "a",
                "echo parent") ",{\"kind\":\"subpipeline\","
                               "\"id\":\"s\",\"pipeline\":\"child\"}") "," PIPELINE("child",
                                                                                    COMMAND(
                                                                                        "c",
                                                                                        "echo "
                                                                                        "child"))));
    const char *child = text_of(live_stage(l, 2), "sub_run_id");
    while (corch_run_next(l->run, &f, -1) == 1) {
        if (f.kind != CORCH_FRAME_CHUNK)
            continue;
        bool is_child = strcmp(f.data, "child\n") == 0;
        assert_string_equal(f.run_id, is_child ? child : l->result->run_id);
        of_child += is_child;
    }
    assert_int_equal(of_child, 1);
    corch_part part;
    assert_int_equal(corch_run_part(l->run, 0, &part), 1);
    assert_string_equal(part.folder, corch_run_folder(l->run));
    assert_null(part.parent_run_id);
    assert_int_equal(part.log_begin, 0);
    assert_int_equal(corch_run_part(l->run, 1, &part), 1);
    assert_string_equal(part.run_id, child);
    assert_string_equal(part.parent_run_id, l->result->run_id);
    assert_int_equal(part.stage, 2);
    assert_int_equal(corch_run_part(l->run, 2, &part), 0);
}

/* Adds what the next state says: number of the stage, status, stages done, and which run. */
static void describe_counts(const corch_frame *f, struct buf *out)
{
    cJSON *doc = cJSON_Parse(f->json);
    char *running = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(doc, "running"));
    assert_non_null(running);
    buf_addf(out, "%zu %s %d %s\n", f->stage, f->status, (int)json_get_int(doc, "done", -1),
             running);
    cJSON_free(running);
    cJSON_Delete(doc);
}

static void expect_counts(struct live *l, const char *wanted)
{
    struct buf seen = BUF_INIT;
    corch_frame f;
    while (corch_run_next(l->run, &f, -1) == 1) {
        if (f.kind == CORCH_FRAME_STATE && strcmp(f.run_id, l->result->run_id) == 0)
            describe_counts(&f, &seen);
    }
    assert_string_equal(seen.data, wanted);
    buf_release(&seen);
}

static void test_corch_watch__says_how_many_stages_are_done_and_which_run(void **state)
{
    struct live *l = *state;
    run_watched(
        l, CONFIG(PIPELINE("p", COMMAND("a", "true") "," SUBPIPELINE("s", "child")) "," PIPELINE(
               "child", COMMAND("c", "true"))));
    expect_counts(l, "0 in_progress 0 []\n"
                     "1 running 0 [1]\n1 succeeded 1 []\n"
                     "2 running 1 [2]\n2 succeeded 2 []\n"
                     "0 succeeded 2 []\n");
}

/* What failed is not done any more once it is to run again. */
static void test_corch_watch__counts_what_an_earlier_session_has_done(void **state)
{
    struct live *l = *state;
    char id[64];
    live_config(l, CONFIG(PIPELINE("p", COMMAND("a", "true") "," COMMAND("b", "test -e again"))));
    live_start(l, &(corch_options){.pipeline = "p"});
    live_ends(l, "failed");
    snprintf(id, sizeof id, "%s", l->result->run_id);
    cJSON_Delete(l->manifest);
    corch_run_free(l->run);
    assert_int_equal(mkdir(live_path(l, "again"), 0700), 0);
    live_start(l, &(corch_options){.resume = id, .watch = 1});
    live_ends(l, "succeeded");
    expect_counts(l, "0 in_progress 1 []\n"
                     "2 running 1 [2]\n2 succeeded 2 []\n"
                     "0 succeeded 2 []\n");
}

static void test_corch_watch__has_no_frames_unless_asked_for(void **state)
{
    struct live *l = *state;
    corch_frame f;
    live_run(l, ONE_COMMAND("echo x"), "succeeded");
    assert_int_equal(corch_run_next(l->run, &f, -1), 0);
    assert_int_equal(corch_run_lost(l->run), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(test_corch_watch__shows_a_run_in_order),
        LIVE_TEST(test_corch_watch__gives_the_exact_text),
        LIVE_TEST(test_corch_watch__gives_the_exact_bytes_of_what_is_no_text),
        LIVE_TEST(test_corch_watch__shows_output_while_the_command_runs),
        LIVE_TEST(test_corch_watch__counts_what_a_watcher_misses_who_takes_nothing),
        LIVE_TEST(test_corch_watch__says_how_many_frames_a_gap_has),
        LIVE_TEST(test_corch_watch__tells_a_subpipelines_frames_apart),
        LIVE_TEST(test_corch_watch__says_how_many_stages_are_done_and_which_run),
        LIVE_TEST(test_corch_watch__counts_what_an_earlier_session_has_done),
        LIVE_TEST(test_corch_watch__has_no_frames_unless_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
