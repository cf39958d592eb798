/* The record of a single command. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "exec_lines.h"
#include "exec_record.h"
#include "json.h"
#include "metrics.h"
#include "squeeze.h"
#include "tmpdir.h"

struct fixture {
    char path[64];
    struct journal j;
    struct cancel cancel;
    struct exec_request *request;
    FILE *log;
    struct buf text; /* run-summary.json */
    cJSON *doc;      /* the same */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    unsetenv("CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS");
    tmpdir_make(f->path);
    f->j.dir.fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(f->j.dir.fd, "commands", 0700), 0);
    cancel_init(&f->cancel, NULL);
    f->request = exec_request_new((const char *const[]){"echo", "a b", NULL}, NULL, 0, NULL);
    assert_non_null(f->request);
    struct manifest *m = &f->j.manifest;
    assert_int_equal(manifest_init(m, &f->request->pipeline, 0), 0);
    m->run_id = strdup("run-1");
    m->task_id = strdup("t1");
    m->artifact_root = strdup(".runs/t1/cli/run-1");
    m->log_path = strdup(".runs/t1/cli/run-1/runner.ndjson");
    m->status = RUN_SUCCEEDED;
    assert_int_equal(manifest_set(&m->commands[0], &m->commands[0].summary, "a b"), 0);
    assert_int_equal(manifest_set(&m->commands[0], &m->commands[0].log_path, "the/log"), 0);
    assert_int_equal(manifest_add_handle(m, "h-1", "c-1", "exec", 3, 0), 0);
    f->log = fdopen(
        openat(f->j.dir.fd, "commands/01-exec.ndjson", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "w");
    assert_non_null(f->log);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    atomicfile_inject(NULL);
    manifest_release(&f->j.manifest);
    exec_request_free(f->request);
    cJSON_Delete(f->doc);
    buf_release(&f->text);
    if (f->log)
        fclose(f->log);
    close(f->j.dir.fd);
    tmpdir_remove(f->path);
    free(f);
    return 0;
}

static void log_line(struct fixture *f, const char *line)
{
    assert_true(fprintf(f->log, "%s\n", line) > 0);
}

static int write_record(struct fixture *f, struct err *e)
{
    assert_int_equal(fflush(f->log), 0);
    return exec_record_write(&f->j, f->request, &f->cancel, INT64_C(1795367281000), e);
}

/* Writes the record and reads it back. */
static void record(struct fixture *f)
{
    struct err e = {""};
    if (write_record(f, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(json_slurp(f->j.dir.fd, "run-summary.json", false, &f->text), 0);
    f->doc = json_parse(f->text.data, f->text.len, "run-summary.json", &e);
    if (!f->doc)
        fail_msg("%s", e.text);
}

/* The member at a path like "payload.result.exitCode", or NULL. */
static const cJSON *member(const cJSON *doc, const char *path)
{
    char key[32];
    for (size_t n; doc && *path; path += n + (path[n] == '.')) {
        n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        doc = cJSON_GetObjectItemCaseSensitive(doc, key);
    }
    return doc;
}

static void assert_member(const struct fixture *f, const char *path, const char *expected)
{
    char *text = cJSON_PrintUnformatted(member(f->doc, path));
    assert_non_null(text);
    assert_string_equal(text, expected);
    cJSON_free(text);
}

static const cJSON *events(const struct fixture *f)
{
    return member(f->doc, "payload.toolRun.events");
}

static void assert_event(const struct fixture *f, int i, const char *expected)
{
    char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(events(f), i));
    assert_non_null(text);
    assert_string_equal(text, expected);
    cJSON_free(text);
}

static const char golden[] = "{\n"
                             "  \"type\": \"run:summary\",\n"
                             "  \"timestamp\": \"2026-11-22T17:08:01.000Z\",\n"
                             "  \"payload\": {\n"
                             "    \"status\": \"succeeded\",\n"
                             "    \"run\": {\n"
                             "      \"id\": \"run-1\",\n"
                             "      \"taskId\": \"t1\",\n"
                             "      \"pipelineId\": \"exec\",\n"
                             "      \"manifest\": \".runs/t1/cli/run-1/manifest.json\",\n"
                             "      \"artifactRoot\": \".runs/t1/cli/run-1\",\n"
                             "      \"summary\": \"a b\"\n"
                             "    },\n";

static void test_exec_record__has_what_the_log_and_the_manifest_know(void **state)
{
    struct fixture *f = *state;
    log_line(f, "{\"type\":\"command:start\",\"command\":\"x\",\"index\":1}");
    log_line(f, BEGIN);
    log_line(f, CHUNK("stdout", "1", "a b\\n"));
    log_line(f, "{\"type\":\"command:stdout\",\"data\":\"a b\\n\",\"index\":1}");
    log_line(f, CHUNK("stderr", "2", "err\\n"));
    log_line(f, END);
    log_line(f, "{\"type\":\"command:end\",\"exit_code\":0,\"index\":1}");
    record(f);
    assert_memory_equal(f->text.data, golden, sizeof golden - 1);
    assert_member(f, "payload.result",
                  "{\"exitCode\":0,\"signal\":null,\"durationMs\":150,\"status\":\"succeeded\","
                  "\"sandboxState\":\"sandboxed\",\"correlationId\":\"c-1\",\"attempts\":1}");
    assert_member(f, "payload.command",
                  "{\"argv\":[\"echo\",\"a b\"],\"shell\":\"echo 'a b'\",\"cwd\":\"/r\","
                  "\"sessionId\":\"s-1\",\"persisted\":false}");
    assert_member(f, "payload.outputs", "{\"stdout\":\"a b\\n\",\"stderr\":\"err\\n\"}");
    assert_member(f, "payload.logs",
                  "{\"runner\":\".runs/t1/cli/run-1/runner.ndjson\",\"command\":\"the/log\"}");
    assert_member(f, "payload.toolRun.id", "\"cli-command:run-1:exec:1795367280000\"");
    assert_member(f, "payload.toolRun.startedAt", "\"2026-11-22T17:08:00.000Z\"");
    assert_member(f, "payload.toolRun.completedAt", "\"2026-11-22T17:08:00.150Z\"");
    assert_member(f, "payload.toolRun.metadata.handleId", "\"h-1\"");
    assert_member(f, "payload.toolRun.metadata.exec.handleId", "\"h-1\"");
    assert_member(f, "payload.metrics.tokenTotal", "2");
    assert_member(f, "payload.metrics.latencyMs", "150");
    assert_member(f, "payload.notifications", "{\"targets\":[],\"delivered\":[],\"failures\":[]}");
    assert_int_equal(f->j.manifest.tool.calls, 1);
    assert_int_equal(f->j.manifest.tool.tokens, 2);
    assert_true(f->j.manifest.tool.cost_usd == 4 / 1e6);
}

static void test_exec_record__holds_the_events_in_their_order(void **state)
{
    struct fixture *f = *state;
    log_line(f, BEGIN);
    log_line(f, CHUNK("stderr", "1", "err\\n"));
    log_line(f, CHUNK("stdout", "2", "out\\n"));
    log_line(f, END);
    record(f);
    assert_int_equal(cJSON_GetArraySize(events(f)), 4);
    assert_event(f, 0,
                 "{\"type\":\"exec:begin\",\"correlationId\":\"c-1\","
                 "\"timestamp\":\"2026-11-22T17:08:00.000Z\",\"attempt\":1,"
                 "\"command\":\"echo 'a b'\",\"args\":[],\"cwd\":\"/r\",\"sessionId\":\"s-1\","
                 "\"sandboxState\":\"sandboxed\",\"persisted\":false}");
    assert_event(f, 1,
                 "{\"type\":\"exec:chunk\",\"correlationId\":\"c-1\","
                 "\"timestamp\":\"2026-11-22T17:08:00.100Z\",\"attempt\":1,\"stream\":\"stderr\","
                 "\"sequence\":1,\"bytes\":4,\"data\":\"err\\n\"}");
    assert_event(f, 3,
                 "{\"type\":\"exec:end\",\"correlationId\":\"c-1\","
                 "\"timestamp\":\"2026-11-22T17:08:00.150Z\",\"attempt\":1,\"exitCode\":0,"
                 "\"signal\":null,\"durationMs\":150,\"stdout\":\"out\\n\",\"stderr\":\"err\\n\","
                 "\"sandboxState\":\"sandboxed\",\"sessionId\":\"s-1\",\"status\":\"succeeded\"}");
}

static void test_exec_record__keeps_the_first_chunks_if_told_how_many(void **state)
{
    struct fixture *f = *state;
    char line[512];
    f->request->max_chunks = 2;
    log_line(f, BEGIN);
    for (int i = 1; i <= 5; i++) {
        snprintf(line, sizeof line, CHUNK("stdout", "%d", "%d\\n"), i, i);
        log_line(f, line);
    }
    log_line(f, END);
    record(f);
    assert_int_equal(cJSON_GetArraySize(events(f)), 4);
    assert_string_equal(json_get_str(cJSON_GetArrayItem(events(f), 1), "data"), "1\n");
    assert_string_equal(json_get_str(cJSON_GetArrayItem(events(f), 2), "data"), "2\n");
    assert_string_equal(json_get_str(cJSON_GetArrayItem(events(f), 3), "type"), "exec:end");
    assert_member(f, "payload.outputs.stdout", "\"1\\n2\\n3\\n4\\n5\\n\"");
}

/* Twice as many bytes as are kept, in two-byte characters at odd places. */
static void test_exec_record__keeps_the_end_of_a_stream_from_a_whole_character_on(void **state)
{
    struct fixture *f = *state;
    size_t n = 2 * TAIL_BYTES;
    char *data = malloc(n + 1), *line = malloc(n + 512);
    assert_true(data && line);
    for (size_t i = 0; i < n; i += 2)
        memcpy(data + i, "\xC3\xBC", 2);
    data[n] = '\0';
    log_line(f, BEGIN);
    for (size_t at = 0; at < n; at += n / 4) {
        snprintf(line, n + 512, CHUNK("stdout", "1", "%.*s"), (int)(n / 4), data + at);
        log_line(f, line);
    }
    log_line(f, CHUNK("stdout", "5", "."));
    log_line(f, END);
    record(f);
    const char *kept = member(f->doc, "payload.outputs.stdout")->valuestring;
    assert_int_equal(strlen(kept), TAIL_BYTES - 1);
    assert_memory_equal(kept, data, TAIL_BYTES - 2);
    assert_string_equal(kept + TAIL_BYTES - 2, ".");
    free(data);
    free(line);
}

static void test_exec_record__shows_binary_output_as_text_and_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    log_line(f, BEGIN);
    log_line(f, CHUNK_HEAD_OF("stdout", "1") "\"data\":\"a\\u0000\xEF\xBF\xBD\","
                                             "\"data_base64\":\"YQD/\"" CHUNK_END);
    log_line(f, END);
    record(f);
    assert_non_null(strstr(f->text.data, "\"stdout\": \"a\\u0000\xEF\xBF\xBD\""));
    assert_string_equal(json_get_str(cJSON_GetArrayItem(events(f), 1), "dataBase64"), "YQD/");
}

static void test_exec_record__is_whole_without_an_end_and_without_a_log(void **state)
{
    struct fixture *f = *state;
    f->j.manifest.status = RUN_FAILED;
    log_line(f, BEGIN);
    record(f);
    assert_member(f, "payload.status", "\"failed\"");
    assert_member(f, "payload.result.exitCode", "null");
    assert_member(f, "payload.toolRun.completedAt", "null");
    assert_int_equal(cJSON_GetArraySize(events(f)), 1);
    assert_int_equal(unlinkat(f->j.dir.fd, "commands/01-exec.ndjson", 0), 0);
    cJSON_Delete(f->doc);
    buf_clear(&f->text);
    record(f);
    assert_member(f, "payload.toolRun.events", "[]");
    assert_member(f, "payload.result.correlationId", "null");
    assert_member(f, "payload.outputs", "{\"stdout\":\"\",\"stderr\":\"\"}");
}

/* Nothing is left in the run's folder but the log, not even a temporary file. */
static void assert_no_record(const struct fixture *f)
{
    assert_int_equal(unlinkat(f->j.dir.fd, "commands/01-exec.ndjson", 0), 0);
    assert_int_equal(unlinkat(f->j.dir.fd, "commands", AT_REMOVEDIR), 0);
    assert_int_equal(rmdir(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
}

static ssize_t full_write(int fd, const void *bytes, size_t n)
{
    (void)fd, (void)bytes, (void)n;
    errno = ENOSPC;
    return -1;
}

static void test_exec_record__leaves_nothing_behind_when_it_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    struct err e = {""};
    log_line(f, BEGIN);
    log_line(f, END);
    atomicfile_inject(&(struct atomicfile_calls){.write = full_write});
    assert_int_equal(write_record(f, &e), -1);
    assert_string_equal(e.text,
                        "its record, run-summary.json, was not written: No space left on device");
    assert_no_record(f);
}

static void test_exec_record__is_given_up_when_the_run_is_killed(void **state)
{
    struct fixture *f = *state;
    struct err e = {""};
    log_line(f, BEGIN);
    cancel_raise(&f->cancel, CANCEL_KILL, CANCEL_ASKED);
    assert_int_equal(write_record(f, &e), -1);
    assert_string_equal(e.text,
                        "its record, run-summary.json, was not written: Operation canceled");
    assert_no_record(f);
}

static void test_exec_record__is_written_when_the_run_was_asked_to_end(void **state)
{
    struct fixture *f = *state;
    log_line(f, BEGIN);
    log_line(f, END);
    cancel_raise(&f->cancel, CANCEL_TERM, CANCEL_ASKED);
    record(f);
    assert_int_equal(cJSON_GetArraySize(events(f)), 2);
}

static void test_exec_record__gives_the_metrics_of_the_task_what_the_command_cost(void **state)
{
    struct fixture *f = *state;
    log_line(f, BEGIN);
    log_line(f, CHUNK("stdout", "1", "one two\\n"));
    log_line(f, END);
    record(f);
    cJSON *entry = metrics_entry(&f->j.manifest, 0);
    assert_int_equal(json_get_int(entry, "tool_calls", -1), 1);
    assert_int_equal(json_get_int(entry, "token_total", -1), 2);
    assert_int_equal(json_get_int(entry, "latency_ms", -1), 150);
    char *stats = cJSON_PrintUnformatted(member(entry, "tool_stats"));
    assert_string_equal(stats, "[{\"tool\":\"cli:command\",\"tokens\":2,\"cost_usd\":4e-06,"
                               "\"latency_ms\":150,\"attempts\":1,\"status\":\"succeeded\","
                               "\"sandbox_state\":\"sandboxed\"}]");
    cJSON_free(stats);
    cJSON_Delete(entry);
}

static void test_exec_record__is_one_line_once_it_is_squeezed(void **state)
{
    struct fixture *f = *state;
    log_line(f, BEGIN);
    log_line(f, CHUNK("stdout", "1", " \\\" { \\\\"));
    log_line(f, END);
    record(f);
    char *expected = cJSON_PrintUnformatted(f->doc);
    for (size_t piece = 1; piece < 8; piece++) {
        struct squeeze s = {0};
        struct buf out = BUF_INIT;
        char bytes[8];
        for (size_t at = 0; at < f->text.len; at += piece) {
            size_t n = f->text.len - at < piece ? f->text.len - at : piece;
            memcpy(bytes, f->text.data + at, n);
            buf_add(&out, bytes, squeeze(&s, bytes, n));
        }
        assert_string_equal(out.data, expected);
        buf_release(&out);
    }
    cJSON_free(expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exec_record__has_what_the_log_and_the_manifest_know),
        TEST(test_exec_record__holds_the_events_in_their_order),
        TEST(test_exec_record__keeps_the_first_chunks_if_told_how_many),
        TEST(test_exec_record__keeps_the_end_of_a_stream_from_a_whole_character_on),
        TEST(test_exec_record__shows_binary_output_as_text_and_keeps_its_bytes),
        TEST(test_exec_record__is_whole_without_an_end_and_without_a_log),
        TEST(test_exec_record__leaves_nothing_behind_when_it_cannot_be_written),
        TEST(test_exec_record__is_given_up_when_the_run_is_killed),
        TEST(test_exec_record__is_written_when_the_run_was_asked_to_end),
        TEST(test_exec_record__gives_the_metrics_of_the_task_what_the_command_cost),
        TEST(test_exec_record__is_one_line_once_it_is_squeezed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
