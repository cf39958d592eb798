/* Owns the showing of commands' output while their run goes on. Main thread. */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec_event.h"
#include "follow.h"
#include "output.h"
#include "replay.h"
#include "sink.h"
#include "source.h"

#define RED "\x1b[31m"
#define PLAIN "\x1b[0m"

/* Log lines taken at most before looking at signals again. */
enum { LINES_AT_ONCE = 256 };

/* stdout or stderr. */
struct outlet {
    int fd;
    struct shown_style style;
    struct buf prefix;
    bool coloured; /* what we add ourselves */
    bool gone;     /* nobody reads it, or it can't be written */
    bool headed;   /* the group that is being shown has its heading there */
};

struct relay {
    struct run_wait *wait;
    enum relay_mode mode;
    struct outlet outlets[2];
    bool all_on_stderr; /* stdout is for JSON */
    bool same_place;    /* both lead to the same terminal or file */
    struct follow *follow;
    struct sources sources;
    struct exec_log *seen;
    struct sink sink;

    struct replay group; /* open: a command's log is being shown */
    size_t part, index;  /* whose */
    bool done, failed;
};

int relay_mode(const char *command, const char *value, enum relay_mode *out, struct err *e)
{
    static const char *const names[] = {[RELAY_NONE] = "none",
                                        [RELAY_LINES] = "lines",
                                        [RELAY_GROUPED] = "grouped",
                                        [RELAY_ERRORS] = "errors"};
    *out = RELAY_NONE;
    for (enum relay_mode mode = RELAY_NONE; value && mode <= RELAY_ERRORS; mode++) {
        if (strcmp(value, names[mode]) == 0)
            *out = mode;
    }
    if (!value || strcmp(value, names[*out]) == 0)
        return 0;
    return err_set(e, "%s: --output must be none, lines, grouped or errors, not '%s'", command,
                   value);
}

static void give_up(struct relay *r, const char *what)
{
    output_message("can't %s (%s): the run goes on, and is recorded", what, strerror(errno));
    sink_clear(&r->sink);
    replay_close(&r->group);
    r->failed = r->done = true;
}

/* What is for that outlet is not written any more; when nothing can be, that was all. */
static void lose(struct relay *r, struct outlet *o)
{
    const char *name = o->fd == STDOUT_FILENO ? "stdout" : "stderr";
    o->gone = true;
    if (errno == EPIPE) {
        output_message("%s was closed: the run goes on, and is recorded", name);
    } else {
        output_message("can't write to %s: %s", name, strerror(errno));
        r->failed = true;
    }
    r->done |= r->outlets[1].gone && (r->all_on_stderr || r->outlets[0].gone);
}

static struct outlet *outlet_of(struct relay *r, int stream)
{
    return &r->outlets[r->all_on_stderr || stream == 2];
}

/* Forgets what nobody will read. */
static void drop_lost(struct relay *r)
{
    int fd;
    while ((fd = sink_fd(&r->sink)) >= 0 && r->outlets[fd == STDERR_FILENO].gone)
        sink_drop(&r->sink);
}

/* A colour for each stage, its neighbours have others. Red is for failures. */
static const char *colour_of(const struct outlet *o, const struct source *s)
{
    static const char *const colours[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m",
                                          "\x1b[35m", "\x1b[34m", "\x1b[96m"};
    return o->coloured ? colours[s->number % (sizeof colours / sizeof *colours)] : "";
}

static const char *plain(const struct outlet *o)
{
    return o->coloured ? PLAIN : "";
}

/* Names the group, once in each place. */
static void add_heading(struct relay *r, struct outlet *o, const struct source *s)
{
    if (o->headed || (r->same_place && (r->outlets[0].headed || r->outlets[1].headed)))
        return;
    struct buf *out = sink_to(&r->sink, o->fd);
    buf_addf(out, "%s==> %s%s", colour_of(o, s), s->label, plain(o));
    if (s->title)
        buf_addf(out, " (%s)", s->title);
    buf_addch(out, '\n');
    o->headed = true;
}

static bool ended_well(const struct exec_line *end)
{
    return end && exec_line_has(end, "exit_code", "0") && !exec_line_find(end, "timed_out");
}

/* Says how the command ended, unless it was with exit code 0. */
static void add_ending(struct relay *r, const struct source *s, const struct exec_line *end)
{
    struct outlet *o = &r->outlets[1];
    const struct exec_member *code = end ? exec_line_find(end, "exit_code") : NULL;
    const struct exec_member *signal = end ? exec_line_find(end, "signal") : NULL;
    if (ended_well(end))
        return;
    struct buf *out = sink_to(&r->sink, o->fd);
    buf_addf(out, "%s==> %s: ", o->coloured ? RED : "", s->label);
    if (end && exec_line_find(end, "timed_out"))
        buf_addstr(out, "timed out");
    else if (code && *code->value != 'n')
        buf_addf(out, "exit code %.*s", (int)code->value_len, code->value);
    else if (signal && *signal->value == '"')
        buf_addf(out, "ended by %.*s", (int)signal->value_len - 2, signal->value + 1);
    else
        buf_addstr(out, end ? "could not be executed" : "its end is not in the log");
    buf_addf(out, "%s\n", plain(o));
}

/* Sets how the lines of that stage are shown. */
static void set_styles(struct relay *r, const struct source *s)
{
    for (int i = 0; i < 2 && r->mode == RELAY_LINES; i++) {
        struct outlet *o = &r->outlets[i];
        buf_clear(&o->prefix);
        buf_addf(&o->prefix, "%s[%s]%s ", colour_of(o, s), s->label, plain(o));
        o->style.prefix = o->prefix.data;
    }
}

/* The command, or this try of it, prints no more. */
static void end_lines(struct relay *r, struct source *s)
{
    set_styles(r, s);
    for (int stream = 1; stream <= 2; stream++) {
        const struct outlet *o = outlet_of(r, stream);
        shown_end(&s->streams[stream - 1], &o->style, sink_to(&r->sink, o->fd));
    }
}

static void show_chunk(struct relay *r, struct source *s, const struct exec_line *line)
{
    exec_log_take(r->seen, line); /* of a chunk: takes no memory, can't fail */
    struct outlet *o = outlet_of(r, r->seen->stream);
    set_styles(r, s);
    if (r->mode != RELAY_LINES && r->seen->size > 0)
        add_heading(r, o, s);
    shown_add(&s->streams[r->seen->stream - 1], &o->style, r->seen->bytes, r->seen->size,
              sink_to(&r->sink, o->fd));
}

/* Shows what a line of a command's log is about. */
static void show_line(struct relay *r, struct source *s, const struct exec_line *line)
{
    if (line->kind == EXEC_CHUNK)
        show_chunk(r, s, line);
    else if (line->kind == EXEC_END)
        end_lines(r, s);
}

static void open_group(struct relay *r, size_t part, size_t index)
{
    const corch_part *run = follow_part(r->follow, part);
    const struct source *s = source_name(&r->sources, r->follow, part, index);
    if (!s ||
        replay_open(&r->group, run->folder, index, s->id ? s->id : "", run->log_begin > 0) != 0)
        give_up(r, "read a command's log");
    r->part = part;
    r->index = index;
    r->outlets[0].headed = r->outlets[1].headed = false;
}

/* Shows the next line of the group. false: it is still to be written. */
static bool show_group(struct relay *r)
{
    struct exec_line line;
    struct source *s = source_name(&r->sources, r->follow, r->part, r->index);
    int got = s ? replay_next(&r->group, &line) : -1;
    if (got == 0 && !r->wait->over)
        return false;
    bool ended = got == 1 && exec_line_has(&line, "type", "\"command:end\"");
    if (got < 0) {
        give_up(r, "read a command's log");
    } else if (got == 1 && !ended) {
        show_line(r, s, &line);
    } else {
        end_lines(r, s);
        add_ending(r, s, ended ? &line : NULL);
        replay_close(&r->group);
    }
    return true;
}

static void take_line(struct relay *r, size_t part, const struct exec_line *line)
{
    const struct exec_member *number = exec_line_find(line, "index");
    size_t index = number ? strtoul(number->value, NULL, 10) : 0;
    if (index == 0)
        return;
    struct source *s = source_get(&r->sources, part, index);
    if (s && exec_line_has(line, "type", "\"command:start\"")) {
        s->running = true;
    } else if (s && exec_line_has(line, "type", "\"command:end\"")) {
        s->running = false;
        if (r->mode == RELAY_GROUPED ||
            (r->mode == RELAY_ERRORS && !ended_well(line)))
            open_group(r, part, index);
    } else if (r->mode == RELAY_LINES && (line->kind == EXEC_CHUNK || line->kind == EXEC_END)) {
        s = source_name(&r->sources, r->follow, part, index);
        if (s)
            show_line(r, s, line);
    }
    if (!s && !r->done)
        give_up(r, "show a command's output");
}

/* The run is over, and its logs were read to their ends. Shows one of the commands whose end could
 * not be recorded; false: there is none. */
static bool show_unended(struct relay *r)
{
    for (size_t part = 0; part < r->sources.n; part++) {
        for (size_t i = 0; i < r->sources.runs[part].n; i++) {
            if (!r->sources.runs[part].stages[i].running)
                continue;
            r->sources.runs[part].stages[i].running = false;
            struct source *s = source_name(&r->sources, r->follow, part, i + 1);
            if (s && r->mode == RELAY_LINES)
                end_lines(r, s);
            else
                open_group(r, part, i + 1);
            return true;
        }
    }
    return false;
}

/* Takes a line of a log. false: there is none, for now. */
static bool show_next(struct relay *r)
{
    const struct exec_line *line;
    size_t part;
    if (r->group.open)
        return show_group(r);
    int got = follow_next(r->follow, r->wait->over, &part, &line);
    if (got < 0)
        give_up(r, "read the run's log");
    else if (got == 1)
        take_line(r, part, line);
    else if (!r->wait->over)
        return false;
    else
        r->done = !show_unended(r);
    return true;
}

/* Makes what is to be written next; nothing if that is still to come. */
static void fill(struct relay *r)
{
    r->wait->busy = true; /* until we know that there is nothing more to take */
    for (int i = 0; i < LINES_AT_ONCE && !r->done && sink_fd(&r->sink) < 0; i++) {
        if (!show_next(r)) {
            r->wait->busy = false;
            break;
        }
        if (r->sink.bytes.failed || r->outlets[0].prefix.failed || r->outlets[1].prefix.failed) {
            errno = ENOMEM;
            give_up(r, "show the run");
        }
        drop_lost(r);
    }
    r->wait->busy &= !r->done && sink_fd(&r->sink) < 0;
}

static void write_some(struct relay *r)
{
    int fd = sink_fd(&r->sink);
    if (sink_write(&r->sink) != 0)
        lose(r, &r->outlets[fd == STDERR_FILENO]);
    drop_lost(r);
}

static void relay_all(struct relay *r)
{
    for (;;) {
        if (sink_fd(&r->sink) < 0)
            fill(r);
        bool pending = sink_fd(&r->sink) >= 0;
        if (!pending && r->done && r->wait->over)
            return;
        enum { OUT, LOGS, FDS = LOGS + FOLLOW_FDS };
        struct pollfd fds[FDS] = {[OUT] = {.fd = sink_fd(&r->sink), .events = POLLOUT}};
        follow_fds(r->follow, fds + LOGS);
        run_wait_once(r->wait, fds, pending || r->done ? LOGS : FDS);
        if (!pending)
            follow_awake(r->follow);
        if (fds[OUT].revents)
            write_some(r);
    }
}

static bool lead_to_one_place(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void init_outlet(struct outlet *o, int fd)
{
    *o = (struct outlet){.fd = fd, .prefix = BUF_INIT, .coloured = output_coloured(fd)};
    o->style = (struct shown_style){.terminal = isatty(fd), .colours = output_ansi(fd)};
}

int relay_run(struct run_wait *wait, enum relay_mode mode, bool json)
{
    struct relay r = {.wait = wait, .mode = mode, .all_on_stderr = json};
    init_outlet(&r.outlets[0], STDOUT_FILENO);
    init_outlet(&r.outlets[1], STDERR_FILENO);
    r.same_place = lead_to_one_place(STDOUT_FILENO, STDERR_FILENO);
    r.follow = follow_new(wait->run);
    r.seen = exec_log_new();
    if (!r.follow || !r.seen)
        give_up(&r, "follow the run");
    relay_all(&r);
    follow_free(r.follow);
    exec_log_free(r.seen);
    sources_release(&r.sources);
    replay_close(&r.group);
    sink_release(&r.sink);
    buf_release(&r.outlets[0].prefix);
    buf_release(&r.outlets[1].prefix);
    return r.failed ? -1 : 0;
}
