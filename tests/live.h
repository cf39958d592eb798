/* Runs through the public interface, in a folder of their own, and a look at what they leave. */
#ifndef TESTS_LIVE_H
#define TESTS_LIVE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corch.h"
#include "json.h"
#include "made_output.h"
#include "ndjson.h"
#include "tmpdir.h"

#define PATIENCE_MS 60000 /* what has not come by then never will */

/* Parts of a configuration. Commands find misbehave in $M, and a fifo in $FIFO. */
#define COMMAND(id, command) "{\"kind\":\"command\",\"id\":\"" id "\",\"command\":\"" command "\"}"
#define PIPELINE(id, stages) \
    "{\"id\":\"" id "\",\"guardrailsRequired\":false,\"stages\":[" stages "]}"
#define CONFIG(pipelines) "{\"pipelines\":[" pipelines "]}"
#define ONE_COMMAND(command) CONFIG(PIPELINE("p", COMMAND("a", command)))

struct live {
    char dir[64], fifo[80];
    corch_config *config;
    corch_run *run;
    const corch_result *result;
    cJSON *manifest; /* after the end */
};

/* Takes what would change a run, and what a run might have left, out of our environment. */
static inline void live_clear_environment(void)
{
    static const char *const prefixes[] = {"CODEX_ORCHESTRATOR_", "MCP_RUNNER_"};
    for (char **at = environ; *at;) {
        char name[128];
        bool foreign = false;
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
            foreign |= strncmp(*at, prefixes[i], strlen(prefixes[i])) == 0;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        if (foreign)
            unsetenv(name); /* moves the rest up */
        else
            at++;
    }
}

static inline int live_setup(void **state)
{
    struct live *l = calloc(1, sizeof *l);
    assert_non_null(l);
    live_clear_environment();
    tmpdir_make(l->dir);
    snprintf(l->fifo, sizeof l->fifo, "%s/fifo", l->dir);
    assert_int_equal(mkfifo(l->fifo, 0600), 0);
    setenv("FIFO", l->fifo, 1);
    setenv("M", MISBEHAVE, 1);
    *state = l;
    return 0;
}

static inline int live_teardown(void **state)
{
    struct live *l = *state;
    cJSON_Delete(l->manifest);
    corch_run_free(l->run);
    corch_config_free(l->config);
    tmpdir_remove(l->dir);
    free(l);
    return 0;
}

/* `rest` below the folder. */
static inline const char *live_path(const struct live *l, const char *rest)
{
    static char text[4][512];
    static unsigned next;
    char *out = text[next++ % 4];
    snprintf(out, sizeof text[0], "%s/%s", l->dir, rest);
    return out;
}

static inline void live_config(struct live *l, const char *text)
{
    corch_error e;
    FILE *f = fopen(live_path(l, "codex.orchestrator.json"), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    l->config = corch_config_load(l->dir, "t1", &e);
    if (!l->config)
        fail_msg("%s", e.text);
}

static inline void live_start(struct live *l, const corch_options *options)
{
    corch_error e;
    l->run = corch_run_start(l->config, options, &e);
    if (!l->run)
        fail_msg("%s", e.text);
}

static inline void live_read(const struct live *l, const char *rest, struct buf *out)
{
    if (json_slurp(AT_FDCWD, live_path(l, rest), false, out) != 0)
        fail_msg("%s: %s", rest, strerror(errno));
}

static inline cJSON *live_json(const struct live *l, const char *rest)
{
    struct buf text = BUF_INIT;
    struct err e = {""};
    live_read(l, rest, &text);
    cJSON *doc = json_parse(text.data, text.len, rest, &e);
    if (!doc)
        fail_msg("%s", e.text);
    buf_release(&text);
    return doc;
}

/* Waits for the end; the run is in that state then, also on disk. */
static inline void live_ends(struct live *l, const char *status)
{
    l->result = corch_run_wait(l->run);
    l->manifest = live_json(l, l->result->manifest);
    assert_string_equal(l->result->status_name, status);
    assert_string_equal(json_get_str(l->manifest, "status"), status);
}

/* The configuration's only pipeline, from start to end. */
static inline void live_run(struct live *l, const char *config, const char *status)
{
    live_config(l, config);
    live_start(l, &(corch_options){.pipeline = "p"});
    live_ends(l, status);
}

/* An entry of the manifest's commands, from 1. */
static inline const cJSON *live_stage(const struct live *l, int number)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(l->manifest, "commands");
    return cJSON_GetArrayItem(list, number - 1);
}

static inline const char *text_of(const cJSON *object, const char *key)
{
    const char *text = json_get_str(object, key);
    return text ? text : "null";
}

static inline void live_assert_stage(const struct live *l, int number, const char *status)
{
    assert_string_equal(text_of(live_stage(l, number), "status"), status);
}

/* What a log says was printed. */
struct printed {
    struct buf streams[2]; /* stdout, stderr: the exact bytes, joined */
    unsigned lines, chunks, binary, warnings, ends;
    bool mixed_up; /* a chunk's number or size is not what it should be */
};

static inline void printed_release(struct printed *p)
{
    buf_release(&p->streams[0]);
    buf_release(&p->streams[1]);
}

static inline void printed_add_chunk(struct printed *p, const cJSON *line)
{
    struct buf *to = &p->streams[strcmp(text_of(line, "stream"), "stderr") == 0];
    const char *data = json_get_str(line, "data"), *exact = json_get_str(line, "data_base64");
    size_t size = strlen(data);
    if (exact) {
        char *room = buf_room(to, strlen(exact));
        assert_non_null(room);
        size = ndjson_unbase64(room, exact, strlen(exact));
        to->len += size;
        p->binary++;
    } else {
        buf_add(to, data, size);
    }
    p->chunks++;
    p->mixed_up |= json_get_int(line, "sequence", 0) != (int64_t)p->chunks;
    p->mixed_up |= json_get_int(line, "bytes", -1) != (int64_t)size;
}

/* Reads a log in which one command printed. */
static inline struct printed live_log(const struct live *l, const char *rest)
{
    struct printed p = {.mixed_up = false};
    char *text = NULL;
    size_t room = 0;
    ssize_t n;
    FILE *f = fopen(live_path(l, rest), "re");
    assert_non_null(f);
    while ((n = getline(&text, &room, f)) > 0) {
        assert_int_equal(text[n - 1], '\n');
        cJSON *line = cJSON_ParseWithLength(text, (size_t)n);
        assert_non_null(line);
        const char *type = text_of(line, "type");
        p.lines++;
        p.warnings += strcmp(type, "command:warning") == 0;
        p.ends += strcmp(type, "command:end") == 0;
        if (strcmp(type, "exec:chunk") == 0)
            printed_add_chunk(&p, line);
        cJSON_Delete(line);
    }
    free(text);
    fclose(f);
    buf_addstr(&p.streams[0], "");
    buf_addstr(&p.streams[1], "");
    return p;
}

/* The log of a command: its number from 1 and id as in the file's name, "01-a". */
static inline struct printed live_command_log(const struct live *l, const char *name)
{
    char rest[256];
    snprintf(rest, sizeof rest, "%s/commands/%s.ndjson", l->result->artifact_root, name);
    return live_log(l, rest);
}

static inline void live_assert_printed(const struct live *l, const char *name, const char *out,
                                       const char *err)
{
    struct printed p = live_command_log(l, name);
    assert_false(p.mixed_up);
    assert_string_equal(p.streams[0].data, out);
    assert_string_equal(p.streams[1].data, err);
    assert_int_equal(p.ends, 1);
    printed_release(&p);
}

/* Opens the fifo for reading before any command opens it for writing. */
static inline int live_open_fifo(const struct live *l)
{
    int fd = open(l->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* The fifo's end: everybody who had it open is dead. */
static inline void live_assert_all_dead(int fifo)
{
    struct pollfd p = {.fd = fifo, .events = POLLIN};
    char c;
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(read(fifo, &c, 1), 0);
    close(fifo);
}

/* Takes frames until there is output of a command; its frame. */
static inline corch_frame live_first_output(struct live *l)
{
    corch_frame f;
    do
        assert_int_equal(corch_run_next(l->run, &f, PATIENCE_MS), 1);
    while (f.kind != CORCH_FRAME_CHUNK);
    return f;
}

#define LIVE_TEST(test) cmocka_unit_test_setup_teardown(test, live_setup, live_teardown)

#endif
