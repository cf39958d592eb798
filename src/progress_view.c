/* Owns what is known of a run from its frames, and how that reads. Main thread. */
#include "progress_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "ndjson.h"
#include "output.h"

#define BOLD "\x1b[1m"
#define RED "\x1b[31m"
#define GREEN "\x1b[32m"
#define YELLOW "\x1b[33m"
#define PLAIN "\x1b[0m"

enum { TITLE_COLUMNS = 12 }; /* less of a title says nothing: then its numbers go */

void progress_view_init(struct progress_view *v, bool coloured)
{
    *v = (struct progress_view){.coloured = coloured, .columns = 80, .ended = BUF_INIT};
}

static void drop_levels(struct progress_view *v, size_t from)
{
    while (v->n_levels > from)
        free(v->levels[--v->n_levels].title);
}

void progress_view_release(struct progress_view *v)
{
    drop_levels(v, 0);
    free(v->levels);
    buf_release(&v->ended);
}

/* Bytes of the character at p, which is valid UTF-8. */
static size_t character(const char *p)
{
    unsigned char c = (unsigned char)*p;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* How many columns it may take. From U+1100 on there are wide ones; what of them is not only makes
 * a line shorter than it could be. */
static size_t width(const char *p)
{
    unsigned char c = (unsigned char)p[0];
    return c > 0xE1 || (c == 0xE1 && (unsigned char)p[1] >= 0x84) ? 2 : 1;
}

static size_t text_width(const char *text)
{
    size_t columns = 0;
    for (; *text; text += character(text))
        columns += width(text);
    return columns;
}

/* Appends what fits into `columns` of `text`, with "…" if that is not all. Returns the columns
 * taken. */
static size_t add_cut(struct buf *out, const char *text, size_t columns)
{
    static const char more[] = "…";
    size_t used = 0, limit = columns;
    if (text_width(text) > columns)
        limit = columns < width(more) ? 0 : columns - width(more);
    for (; *text && used + width(text) <= limit; text += character(text)) {
        used += width(text);
        buf_add(out, text, character(text));
    }
    if (!*text || columns < width(more))
        return used;
    buf_addstr(out, more);
    return used + width(more);
}

/* A line: head, title and numbers, the title cut so that the rest fits. */
static void add_line(const struct progress_view *v, struct buf *out, const char *colour,
                     const char *head, const char *title, const char *numbers)
{
    size_t left = v->columns > 1 ? v->columns - 1 : 0; /* the last column would wrap */
    size_t behind = text_width(numbers);
    if (v->coloured)
        buf_addstr(out, colour);
    left -= add_cut(out, head, left);
    if (v->coloured)
        buf_addstr(out, PLAIN);
    if (text_width(title) + behind > left && behind + TITLE_COLUMNS > left)
        behind = 0;
    add_cut(out, title, left - behind);
    if (behind > 0)
        buf_addstr(out, numbers);
}

/* Decimal units, and never more than there is. */
static void add_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t unit = 1;
    size_t i = 0;
    for (; bytes / unit >= 1000; i++)
        unit *= 1000;
    if (i == 0)
        buf_addf(out, "  %" PRIu64 " B", bytes);
    else
        buf_addf(out, "  %" PRIu64 ".%" PRIu64 " %s", bytes / unit, bytes / (unit / 10) % 10,
                 units[i]);
}

static void add_duration(struct buf *out, int64_t ms)
{
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (s < 60)
        buf_addf(out, "  %" PRId64 ".%" PRId64 " s", s, ms > 0 ? ms % 1000 / 100 : 0);
    else if (s < 3600)
        buf_addf(out, "  %" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        buf_addf(out, "  %" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
}

/* `text` as valid UTF-8 with control characters as \xNN. free() it. */
static char *safe_text(const char *text)
{
    size_t n = strlen(text);
    struct buf clean = BUF_INIT, safe = BUF_INIT;
    char *room = buf_room(&clean, n * NDJSON_CLEAN_GROWTH);
    if (room)
        clean.len = ndjson_clean(room, text, n);
    for (size_t i = 0, step; i < clean.len; i += step) {
        const char *p = clean.data + i;
        step = output_control(p);
        if (step > 0)
            buf_addf(&safe, "\\x%02x", (unsigned char)p[step - 1]);
        else
            buf_add(&safe, p, step = character(p));
    }
    buf_release(&clean);
    return buf_detach(&safe);
}

/* The run's level, a new one if it has none yet; NULL: out of memory. */
static struct progress_level *find_level(struct progress_view *v, const char *run_id)
{
    for (size_t i = 0; i < v->n_levels; i++) {
        if (strcmp(v->levels[i].run_id, run_id) == 0)
            return &v->levels[i];
    }
    if (v->n_levels == v->room) {
        size_t room = v->room * 2 + 4;
        struct progress_level *more = realloc(v->levels, room * sizeof *more);
        if (!more)
            return NULL;
        v->levels = more;
        v->room = room;
    }
    struct progress_level *l = &v->levels[v->n_levels++];
    *l = (struct progress_level){.run_id = ""};
    snprintf(l->run_id, sizeof l->run_id, "%s", run_id);
    return l;
}

/* Begins a finished line: two blanks for each run that this one is part of. */
static void indent(struct progress_view *v, const struct progress_level *l)
{
    for (const struct progress_level *at = v->levels; at < l; at++)
        buf_addstr(&v->ended, "  ");
}

/* A finished line, within the columns that the indentation leaves. */
static void add_ended(struct progress_view *v, const struct progress_level *l, const char *colour,
                      const char *head, const char *title, const char *numbers)
{
    struct progress_view inner = *v;
    unsigned taken = (unsigned)(l - v->levels) * 2;
    inner.columns = v->columns > taken ? v->columns - taken : 0;
    indent(v, l);
    add_line(&inner, &v->ended, colour, head, title, numbers);
    buf_addch(&v->ended, '\n');
}

/* Stages before `number` are over. Those we should have seen but have not are mentioned. */
static void pass(struct progress_view *v, struct progress_level *l, uint64_t number)
{
    char text[80];
    if (l->missed && l->done + 1 < number) {
        bool one = l->done + 2 == number;
        snprintf(text, sizeof text, one ? "stage %" PRIu64 : "stages %" PRIu64 " to %" PRIu64,
                 l->done + 1, number - 1);
        add_ended(v, l, "", "…  ", text, "");
    }
    l->missed = false;
    l->done = number - 1;
}

static void begin_stage(struct progress_view *v, struct progress_level *l, size_t number,
                        const char *title, int64_t now_ms)
{
    pass(v, l, number);
    free(l->title);
    l->title = safe_text(title);
    l->started_ms = now_ms;
    l->bytes = l->lines = 0;
    l->lost = false;
}

static const struct ending {
    const char *status, *colour, *head;
} endings[] = {{"succeeded", GREEN, "ok  "},
               {"failed", RED, "failed  "},
               {"skipped", YELLOW, "skipped  "},
               {NULL, NULL, NULL}};

static void end_stage(struct progress_view *v, struct progress_level *l, size_t number,
                      const char *title, const char *status, int64_t now_ms)
{
    const struct ending *how = endings;
    while (how->status && strcmp(how->status, status) != 0)
        how++;
    if (!how->status)
        return;
    struct buf numbers = BUF_INIT;
    if (l->title && l->done + 1 == number) {
        add_duration(&numbers, now_ms - l->started_ms);
        add_size(&numbers, l->bytes);
        buf_addstr(&numbers, l->lost ? " …" : "");
    } else { /* its beginning was not seen */
        begin_stage(v, l, number, title, now_ms);
        buf_addstr(&numbers, "  …");
    }
    if (l->title && !numbers.failed)
        add_ended(v, l, how->colour, how->head, l->title, numbers.data);
    buf_release(&numbers);
    free(l->title);
    l->title = NULL;
    l->missed = false;
    l->done = number;
}

/* Its subpipelines are over when there is news of a run itself. */
static void take_state(struct progress_view *v, const corch_frame *f)
{
    struct progress_level *l = find_level(v, f->run_id);
    cJSON *doc = json_parse(f->json, strlen(f->json), "frame", NULL);
    const char *title = json_get_str(doc, "title");
    int64_t now_ms = clock_parse_iso(json_get_str(doc, "timestamp"));
    if (l && doc) {
        drop_levels(v, (size_t)(l - v->levels) + 1);
        l->stages = (uint64_t)json_get_int(doc, "stages", 0);
        if (f->stage == 0 && strcmp(f->status, "in_progress") != 0) {
            if (strcmp(f->status, "succeeded") == 0)
                pass(v, l, l->stages + 1);
            drop_levels(v, (size_t)(l - v->levels));
        } else if (f->stage > 0 && strcmp(f->status, "running") == 0) {
            begin_stage(v, l, f->stage, title ? title : "", now_ms);
        } else if (f->stage > 0) {
            end_stage(v, l, f->stage, title ? title : "", f->status, now_ms);
        }
    }
    cJSON_Delete(doc);
}

static uint64_t count_lines(const char *bytes, size_t n)
{
    uint64_t lines = 0;
    for (const char *end = bytes + n; (bytes = memchr(bytes, '\n', (size_t)(end - bytes))); bytes++)
        lines++;
    return lines;
}

void progress_view_take(struct progress_view *v, const corch_frame *f)
{
    uint64_t lines = f->kind == CORCH_FRAME_CHUNK ? count_lines(f->data, f->size) : 0;
    for (size_t i = 0; i < v->n_levels; i++) {
        struct progress_level *l = &v->levels[i];
        l->missed |= f->lost > 0;
        l->lost |= f->lost > 0;
        if (f->kind == CORCH_FRAME_CHUNK) {
            l->bytes += f->size;
            l->lines += lines;
        }
    }
    if (f->kind == CORCH_FRAME_STATE && f->status)
        take_state(v, f);
}

/* The titles of what runs, from the run that was asked for inwards. */
static void add_path(const struct progress_view *v, struct buf *out)
{
    for (size_t i = 0; i < v->n_levels; i++) {
        if (v->levels[i].title) {
            buf_addstr(out, out->len > 0 ? " › " : "");
            buf_addstr(out, v->levels[i].title);
        }
    }
}

void progress_view_area(const struct progress_view *v, int64_t now_ms, struct buf *out)
{
    const struct progress_level *l = NULL;
    for (size_t i = 0; i < v->n_levels; i++)
        l = v->levels[i].title ? &v->levels[i] : l;
    if (!l)
        return;
    struct buf head = BUF_INIT, path = BUF_INIT, numbers = BUF_INIT;
    buf_addf(&head, "[%" PRIu64 "/%" PRIu64 "] ", v->levels[0].done, v->levels[0].stages);
    add_path(v, &path);
    add_duration(&numbers, now_ms - l->started_ms);
    add_size(&numbers, l->bytes);
    buf_addf(&numbers, "  %" PRIu64 " line%s%s", l->lines, l->lines == 1 ? "" : "s",
             l->lost ? " …" : "");
    if (!head.failed && !path.failed && !numbers.failed)
        add_line(v, out, BOLD, head.data, path.data, numbers.data);
    buf_release(&head);
    buf_release(&path);
    buf_release(&numbers);
}
