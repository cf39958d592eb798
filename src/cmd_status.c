/* `status`: how a run is doing, once or until it ends. Main thread. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "activity.h"
#include "clock.h"
#include "commands.h"
#include "find_run.h"
#include "options.h"
#include "output.h"

static const char help[] =
    "Usage: codex-orchestrator status [options] --run ID\n"
    "       codex-orchestrator status [options] ID\n"
    "\n"
    "Prints how a run is doing: its record, and whether anybody works on it (live, stale: its\n"
    "orchestrator gives no sign of life, interrupted: it has none any more, finished).\n"
    "\n"
    "Options:\n"
    "  --run ID            the run, of any task\n"
    "  --watch             go on until the run has ended; after the first time only what changed "
    "is\n"
    "                      printed, or, as JSON, one line for each change\n"
    "  --interval SECONDS  how long at most between two looks with --watch (default: 10); changes\n"
    "                      of the record are seen at once\n"
    "  --format json|text  how it is printed (default: text)\n"
    "  --help              this text\n"
    "\n"
    "Exit code: 0 whatever became of the run, 2 if it can't be found, read or printed.\n";

#define INTERVAL_MAX 86400

struct status_options {
    const char *run, *word, *interval, *format;
    bool watch, help;
};

struct view {
    struct rundir dir;
    enum output_format format;
    bool watch;
    long interval_ms;
    struct buf shown; /* what was printed last, as text */
};

static int parse(struct status_options *o, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {"--run", &o->run, NULL},       {"--interval", &o->interval, NULL},
        {"--format", &o->format, NULL}, {"--watch", NULL, &o->watch},
        {"--help", NULL, &o->help},     {"-h", NULL, &o->help},
    };
    struct options parser = {.command = "status",
                             .specs = specs,
                             .n_specs = sizeof specs / sizeof *specs,
                             .positional = &o->word,
                             .max_positional = 1};
    struct err e = {""};
    int rc = options_parse(&parser, argc, argv, &e);
    if (rc == 0 && o->run && o->word)
        rc = err_set(&e, "status: unexpected argument '%s'", o->word);
    if (rc == 0 && !o->help && !o->run && !o->word)
        rc = err_set(&e, "status requires --run");
    if (rc != 0)
        output_message("%s", e.text);
    return rc;
}

static int parse_interval(const char *text, long *ms)
{
    char *end;
    double seconds = text ? strtod(text, &end) : 10;
    if (!text || (*text && !*end && seconds >= 0.1 && seconds <= INTERVAL_MAX)) {
        *ms = (long)(seconds * 1000);
        return 0;
    }
    output_message("status: --interval must be a number of seconds from 0.1 to %d, not '%s'",
                   INTERVAL_MAX, text);
    return -1;
}

/* Adds text that is to stay on its line. */
static void add_flat(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_addch(out, *text == '\n' || *text == '\r' ? ' ' : *text);
}

static void add_line(struct buf *out, const char *label, const char *text)
{
    buf_addstr(out, label);
    add_flat(out, text);
    buf_addch(out, '\n');
}

static void describe_activity(struct buf *out, const struct activity *a, const char *run_id)
{
    char last[CLOCK_ISO_LEN + 1] = "never";
    if (a->heartbeat_ms != CLOCK_NEVER)
        clock_iso(a->heartbeat_ms, last);
    buf_addf(out, "Activity: %s", activity_name(a->state));
    if (a->state == ACTIVITY_LIVE && !a->locked)
        buf_addstr(out, " by its heartbeat; its orchestrator takes no lock");
    if (a->state == ACTIVITY_STALE)
        buf_addf(out, ": its orchestrator is there, but its last heartbeat was at %s", last);
    if (a->state == ACTIVITY_INTERRUPTED)
        buf_addf(out,
                 ": nobody works on it, last heartbeat %s; to take it up again: "
                 "codex-orchestrator resume --run %s",
                 last, run_id);
    buf_addch(out, '\n');
}

static const char *member(const cJSON *object, const char *key, const char *fallback)
{
    const char *text = json_get_str(object, key);
    return text ? text : fallback;
}

static void describe_commands(struct buf *out, const cJSON *commands)
{
    const cJSON *command;
    buf_addstr(out, "Commands:\n");
    cJSON_ArrayForEach(command, commands)
    {
        const char *summary = json_get_str(command, "summary");
        buf_addstr(out, "  [");
        add_flat(out, member(command, "status", "unknown"));
        buf_addstr(out, "] ");
        add_flat(out, member(command, "title", member(command, "id", "")));
        buf_addstr(out, summary && *summary ? " — " : "");
        add_line(out, "", summary ? summary : "");
    }
}

static void describe(struct buf *out, const struct view *v, const cJSON *manifest,
                     const struct activity *a)
{
    const char *detail = json_get_str(manifest, "status_detail");
    const char *run_id = strrchr(v->dir.path, '/') + 1;
    add_line(out, "Run: ", run_id);
    buf_addf(out, "Status: %s", member(manifest, "status", ""));
    if (detail)
        buf_addstr(out, " (");
    add_flat(out, detail ? detail : "");
    buf_addstr(out, detail ? ")\n" : "\n");
    describe_activity(out, a, run_id);
    add_line(out, "Started: ", member(manifest, "started_at", "unknown"));
    add_line(out, "Completed: ", member(manifest, "completed_at", "in-progress"));
    buf_addf(out, "Manifest: ");
    add_line(out, v->dir.rel, "/manifest.json");
    describe_commands(out, cJSON_GetObjectItemCaseSensitive(manifest, "commands"));
}

/* Prints the lines of `now` that differ from those of `before`: all, the first time. */
static void print_changes(const char *before, const char *now)
{
    struct buf lines = BUF_INIT;
    while (*now) {
        size_t was = strcspn(before, "\n"), n = strcspn(now, "\n");
        if (was != n || memcmp(before, now, n) != 0)
            buf_add(&lines, now, n + 1);
        before += was + (before[was] == '\n');
        now += n + 1;
    }
    if (lines.failed)
        output_message("can't print the status: %s", strerror(ENOMEM));
    else if (lines.data)
        output_safe(stdout, "", lines.data);
    fflush(stdout);
    buf_release(&lines);
}

static void add_activity(cJSON *doc, const struct activity *a)
{
    cJSON *activity = json_object(doc, "activity");
    json_str(activity, "state", activity_name(a->state));
    if (a->state == ACTIVITY_FINISHED)
        json_null(activity, "locked");
    else
        json_bool(activity, "locked", a->locked);
    json_time(activity, "heartbeat_at", a->heartbeat_ms);
    json_int(activity, "stale_after_seconds", a->stale_after_ms / 1000);
}

/* Moves members of the manifest to the document; what the manifest lacks is null. */
static void move_members(cJSON *doc, cJSON *manifest, const char *const *keys)
{
    for (; *keys; keys++) {
        cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(manifest, *keys);
        json_add(doc, *keys, item ? item : cJSON_CreateNull());
    }
}

static void print_json(const struct view *v, cJSON *manifest, const struct activity *a)
{
    static const char *const head[] = {"run_id",     "status",       "status_detail",
                                       "started_at", "completed_at", NULL};
    static const char *const body[] = {"artifact_root", "log_path", "heartbeat_at", NULL};
    static const char *const lists[] = {"commands", "child_runs", NULL};
    struct buf text = BUF_INIT;
    cJSON *doc = json_new();
    move_members(doc, manifest, head);
    buf_addf(&text, "%s/manifest.json", v->dir.rel);
    json_str(doc, "manifest", text.data);
    move_members(doc, manifest, body);
    add_activity(doc, a);
    move_members(doc, manifest, lists);
    output_json(doc, !v->watch);
    buf_release(&text);
}

/* Looks, and prints if there is something new. 0, or -1 if that failed, which has been said then.
 */
static int look(struct view *v, bool *finished)
{
    struct err e = {""};
    struct buf now = BUF_INIT;
    struct activity a;
    cJSON *manifest;
    if (activity_look(&v->dir, &manifest, &a, &e) != 0) {
        output_message("%s", e.text);
        return -1;
    }
    describe(&now, v, manifest, &a);
    const char *before = v->shown.data ? v->shown.data : "";
    bool changed = !now.failed && strcmp(before, now.data) != 0;
    if (now.failed)
        output_message("can't print the status: %s", strerror(ENOMEM));
    else if (changed && v->format == FORMAT_JSON)
        print_json(v, manifest, &a);
    else if (changed)
        print_changes(before, now.data);
    int rc = now.failed ? -1 : output_end();
    cJSON_Delete(manifest);
    buf_release(&v->shown);
    v->shown = now;
    *finished = a.state == ACTIVITY_FINISHED;
    return rc;
}

/* A descriptor that tells when the manifest is replaced or written, or -1: then only the interval
 * makes us look. */
static int open_changes(const struct rundir *dir)
{
    char path[40];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof path, "/proc/self/fd/%d", dir->fd);
    if (fd >= 0 && inotify_add_watch(fd, path, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) >= 0)
        return fd;
    output_message("can't be told of changes (%s): they are seen at the next look",
                   strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Takes the events that have come; whether one is about the manifest. */
static bool manifest_changed(int changes)
{
    _Alignas(struct inotify_event) char events[4096];
    bool changed = false;
    ssize_t n;
    while ((n = read(changes, events, sizeof events)) > 0) {
        const struct inotify_event *event;
        for (const char *p = events; p < events + n; p += sizeof *event + event->len) {
            event = (const void *)p;
            changed |= (event->mask & IN_Q_OVERFLOW) != 0 ||
                       (event->len > 0 && strcmp(event->name, "manifest.json") == 0);
        }
    }
    return changed;
}

/* Returns 0 when it is time for another look, -1 when nobody reads us any more. */
static int wait_for_change(int changes, long interval_ms)
{
    int64_t deadline = clock_mono_ns() + (int64_t)interval_ms * 1000000, left;
    struct pollfd fds[] = {{.fd = changes, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    while ((left = deadline - clock_mono_ns()) > 0) {
        int n = poll(fds, 2, (int)(left / 1000000 + 1));
        if (n < 0 && errno != EINTR) {
            output_message("can't wait for changes: %s", strerror(errno));
            return -1;
        }
        if (n > 0 && fds[1].revents) {
            output_message("can't write to stdout: nobody reads it any more");
            return -1;
        }
        if (n > 0 && fds[0].revents && manifest_changed(changes))
            return 0;
    }
    return 0;
}

/* Without a watch a single look. Signals end the program in their usual way: there is nothing to
 * clean up. */
static int follow(struct view *v)
{
    bool finished = false;
    int changes = v->watch ? open_changes(&v->dir) : -1;
    int rc = look(v, &finished);
    while (rc == 0 && v->watch && !finished) {
        rc = wait_for_change(changes, v->interval_ms);
        if (rc == 0)
            rc = look(v, &finished);
    }
    if (changes >= 0)
        close(changes);
    return rc == 0 ? EXIT_OK : EXIT_NOT_RUN;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o = {0};
    struct view v = {.shown = BUF_INIT};
    struct workspace w;
    struct err e = {""};
    if (parse(&o, argc, argv) != 0 || output_format("status", o.format, &v.format) != 0 ||
        parse_interval(o.interval, &v.interval_ms) != 0)
        return EXIT_NOT_RUN;
    if (o.help) {
        fputs(help, stdout);
        return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
    }
    v.watch = o.watch;
    signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error we report */
    int code = EXIT_NOT_RUN;
    if (workspace_open(&w, NULL, NULL, &e) != 0) {
        output_message("%s", e.text);
        return code;
    }
    if (find_run(&w, o.run ? o.run : o.word, &v.dir, NULL, &e) != 0) {
        output_message("%s", e.text);
    } else {
        code = follow(&v);
        rundir_release(&v.dir);
    }
    buf_release(&v.shown);
    workspace_release(&w);
    return code;
}
