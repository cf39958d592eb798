/* Owns what is known of a run from its frames, and how that reads. Main thread. */
#include "progress_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "progress_text.h"

#define BOLD "\x1b[1m"
#define RED "\x1b[31m"
#define GREEN "\x1b[32m"
#define YELLOW "\x1b[33m"
#define PLAIN "\x1b[0m"

enum {
    TITLE_COLUMNS = 12, /* less of a title says nothing: then its numbers go */
    REST_BYTES = 32
};

void progress_view_init(struct progress_view *v, bool coloured)
{
    *v = (struct progress_view){
        .coloured = coloured, .columns = 80, .part = corch_run_part, .ended = BUF_INIT};
}

void progress_view_release(struct progress_view *v)
{
    progress_runs_release(&v->under_way);
    buf_release(&v->ended);
}

static size_t line_columns(const struct progress_view *v)
{
    return v->columns > 1 ? v->columns - 1 : 0; /* the last column would wrap */
}

/* A line: head, title and numbers, the title cut so that the rest fits. */
static void add_line(const struct progress_view *v, struct buf *out, const char *colour,
                     const char *head, const char *title, const char *numbers)
{
    size_t left = line_columns(v);
    size_t behind = text_columns(numbers);
    if (v->coloured)
        buf_addstr(out, colour);
    left -= text_add_cut(out, head, left);
    if (v->coloured)
        buf_addstr(out, PLAIN);
    if (text_columns(title) + behind > left && behind + TITLE_COLUMNS > left)
        behind = 0;
    text_add_cut(out, title, left - behind);
    if (behind > 0)
        buf_addstr(out, numbers);
}

/* What a line of that head has for its title, beside the numbers if they leave enough of it. */
static size_t title_columns(const struct progress_view *v, const char *head, const char *numbers)
{
    size_t columns = line_columns(v), before = text_columns(head), behind = text_columns(numbers);
    size_t left = columns > before ? columns - before : 0;
    return behind + TITLE_COLUMNS > left ? left : left - behind;
}

/* The part of the run that has this id: the next one, as parts are numbered in the order they
 * begin, unless frames were lost. */
static bool find_part(struct progress_view *v, const char *run_id, corch_part *part)
{
    for (size_t i = v->next_part; v->part(v->run, i, part) == 1; i++) {
        if (strcmp(part->run_id, run_id) == 0) {
            v->next_part = i + 1;
            return true;
        }
    }
    for (size_t i = 0; i < v->next_part && v->part(v->run, i, part) == 1; i++) {
        if (strcmp(part->run_id, run_id) == 0)
            return true;
    }
    return false;
}

static struct progress_run *open_run(struct progress_view *v, const char *run_id, int64_t now_ms);

/* The stage that a subpipeline is. If it was not seen to begin it has no title yet. */
static struct progress_stage *open_stage(struct progress_view *v, const corch_part *part,
                                         int64_t now_ms)
{
    struct progress_run *r = open_run(v, part->parent_run_id, now_ms);
    struct progress_stage *s = r ? progress_stage_find(&v->under_way, r, part->stage) : NULL;
    if (!r || s)
        return s;
    s = progress_stage_add(&v->under_way, r, part->stage, now_ms);
    if (s)
        s->lost = true;
    return s;
}

/* The run, and, if it is new, what it is part of. NULL: it is not known, or out of memory. */
static struct progress_run *open_run(struct progress_view *v, const char *run_id, int64_t now_ms)
{
    struct progress_run *r = progress_run_find(&v->under_way, run_id);
    corch_part part;
    if (r || !find_part(v, run_id, &part))
        return r;
    struct progress_stage *in = part.parent_run_id ? open_stage(v, &part, now_ms) : NULL;
    return in || !part.parent_run_id ? progress_run_add(&v->under_way, run_id, in) : NULL;
}

/* The titles of a stage and of those it is part of, from the run that was asked for inwards. */
static void add_path(struct buf *out, const struct progress_stage *s, const char *title)
{
    if (s->run->parent) {
        add_path(out, s->run->parent, s->run->parent->title);
        buf_addstr(out, " › ");
    }
    buf_addstr(out, title ? title : "…");
}

static unsigned depth(const struct progress_run *r)
{
    unsigned n = 0;
    for (; r->parent; r = r->parent->run)
        n++;
    return n;
}

/* Whether there are runs besides this one and those it is part of: then a title alone does not say
 * which one a line is about. */
static bool has_siblings(const struct progress_view *v, const struct progress_run *r)
{
    unsigned n = 0;
    for (const struct progress_run *any = v->under_way.runs; any; any = any->next)
        n++;
    return n > depth(r) + 1;
}

/* A finished line of a run, within the columns that its indentation leaves: two blanks for each run
 * that it is part of. */
static void add_ended(struct progress_view *v, const struct progress_run *r, const char *colour,
                      const char *head, const char *title, const char *numbers)
{
    struct progress_view inner = *v;
    struct buf path = BUF_INIT;
    unsigned taken = depth(r) * 2;
    inner.columns = v->columns > taken ? v->columns - taken : 0;
    if (r->parent && has_siblings(v, r)) {
        add_path(&path, r->parent, r->parent->title);
        buf_addstr(&path, " › ");
    }
    buf_addstr(&path, title);
    for (unsigned i = 0; i < taken; i++)
        buf_addch(&v->ended, ' ');
    add_line(&inner, &v->ended, colour, head, path.failed ? title : path.data, numbers);
    buf_addch(&v->ended, '\n');
    buf_release(&path);
}

/* Takes over how many stages there are and are over. Those that must have ended but were not seen
 * to, since `ends` of them is in this state, are mentioned. */
static void count_stages(struct progress_view *v, struct progress_run *r, const cJSON *doc,
                         unsigned ends)
{
    char text[40];
    uint64_t seen = r->done + ends;
    r->stages = (uint64_t)json_get_int(doc, "stages", 0);
    r->done = (uint64_t)json_get_int(doc, "done", (int64_t)seen);
    if (r->done <= seen)
        return;
    snprintf(text, sizeof text, "%" PRIu64 " stage%s", r->done - seen,
             r->done - seen == 1 ? "" : "s");
    add_ended(v, r, "", "…  ", text, "");
}

/* One that runs already goes on: it is tried once more. */
static void begin_stage(struct progress_view *v, struct progress_run *r, size_t number,
                        const char *title, int64_t now_ms)
{
    struct progress_stage *s = progress_stage_find(&v->under_way, r, number);
    if (!s)
        s = progress_stage_add(&v->under_way, r, number, now_ms);
    if (s && !s->title)
        s->title = text_safe(title);
}

static const struct ending {
    const char *status, *colour, *head;
} endings[] = {{"succeeded", GREEN, "ok  "},
               {"failed", RED, "failed  "},
               {"skipped", YELLOW, "skipped  "},
               {NULL, NULL, NULL}};

/* NULL: a stage is not over in this state. */
static const struct ending *find_ending(const char *status)
{
    const struct ending *how = endings;
    while (how->status && strcmp(how->status, status) != 0)
        how++;
    return how->status ? how : NULL;
}

/* A stage that was not seen to run has no numbers; it did not run at all if nothing was lost. */
static void end_stage(struct progress_view *v, struct progress_run *r, size_t number,
                      const char *title, const struct ending *how, int64_t now_ms)
{
    struct progress_stage *s = progress_stage_find(&v->under_way, r, number);
    struct buf numbers = BUF_INIT;
    char *safe = text_safe(title);
    if (s && s->title) {
        text_add_duration(&numbers, now_ms - s->started_ms);
        text_add_size(&numbers, s->bytes);
        buf_addstr(&numbers, s->lost ? " …" : "");
    } else {
        buf_addstr(&numbers, r->lost ? "  …" : "");
    }
    if (s)
        progress_stage_drop(&v->under_way, s);
    if (safe && !numbers.failed)
        add_ended(v, r, how->colour, how->head, safe, numbers.data);
    buf_release(&numbers);
    free(safe);
}

static bool is_listed(const cJSON *list, size_t number)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (item->valueint == (int)number)
            return true;
    }
    return false;
}

/* What does not run any more, without having been seen to end, goes. */
static void drop_unlisted(struct progress_view *v, const struct progress_run *r, const cJSON *list)
{
    struct progress_stage *s = v->under_way.stages;
    while (s && cJSON_IsArray(list)) {
        if (s->run != r || is_listed(list, s->number)) {
            s = s->next;
        } else {
            progress_stage_drop(&v->under_way, s);
            s = v->under_way.stages; /* what ran within it is gone as well */
        }
    }
}

static void take_run_state(struct progress_view *v, struct progress_run *r, const cJSON *doc,
                           const char *status)
{
    bool begins = strcmp(status, "in_progress") == 0;
    if (begins) {
        r->done = (uint64_t)json_get_int(doc, "done", 0); /* in an earlier session */
        r->lost = false;
    }
    count_stages(v, r, doc, 0);
    if (!begins)
        progress_run_drop(&v->under_way, r);
}

static void take_stage_state(struct progress_view *v, struct progress_run *r, const cJSON *doc,
                             const corch_frame *f, int64_t now_ms)
{
    const struct ending *how = find_ending(f->status);
    const char *title = json_get_str(doc, "title");
    count_stages(v, r, doc, how ? 1 : 0);
    if (how)
        end_stage(v, r, f->stage, title ? title : "", how, now_ms);
    else if (strcmp(f->status, "running") == 0)
        begin_stage(v, r, f->stage, title ? title : "", now_ms);
    drop_unlisted(v, r, cJSON_GetObjectItemCaseSensitive(doc, "running"));
}

static void take_state(struct progress_view *v, const corch_frame *f)
{
    cJSON *doc = json_parse(f->json, strlen(f->json), "frame", NULL);
    int64_t now_ms = clock_parse_iso(json_get_str(doc, "timestamp"));
    struct progress_run *r = doc ? open_run(v, f->run_id, now_ms) : NULL;
    if (r && f->stage == 0)
        take_run_state(v, r, doc, f->status);
    else if (r)
        take_stage_state(v, r, doc, f, now_ms);
    cJSON_Delete(doc);
}

static uint64_t count_lines(const char *bytes, size_t n)
{
    uint64_t lines = 0;
    for (const char *end = bytes + n; (bytes = memchr(bytes, '\n', (size_t)(end - bytes))); bytes++)
        lines++;
    return lines;
}

/* Output is that of its stage and of all that this one is part of. */
static void take_chunk(struct progress_view *v, const corch_frame *f)
{
    uint64_t lines = count_lines(f->data, f->size);
    const struct progress_run *r = progress_run_find(&v->under_way, f->run_id);
    struct progress_stage *s = r ? progress_stage_find(&v->under_way, r, f->stage) : NULL;
    for (; r; s = r->parent, r = s ? s->run : NULL) {
        if (s) {
            s->bytes += f->size;
            s->lines += lines;
        }
    }
}

/* Nobody knows whose frames they were. */
static void note_loss(struct progress_view *v)
{
    for (struct progress_run *r = v->under_way.runs; r; r = r->next)
        r->lost = true;
    for (struct progress_stage *s = v->under_way.stages; s; s = s->next)
        s->lost = true;
}

void progress_view_take(struct progress_view *v, const corch_frame *f)
{
    if (f->lost > 0)
        note_loss(v);
    if (f->kind == CORCH_FRAME_CHUNK)
        take_chunk(v, f);
    else if (f->kind == CORCH_FRAME_STATE && f->status)
        take_state(v, f);
}

/* What runs now, together. */
struct now {
    const struct progress_stage *first; /* the longest-running; NULL: nothing runs */
    bool waiting;                       /* there are only subpipelines between two stages */
    size_t stages;
    uint64_t bytes, lines;
    bool lost;
};

/* The next one to be shown, from there on. A subpipeline is not, but for what runs in it; one in
 * which nothing runs may have to wait for long while others do. */
static const struct progress_stage *shown(const struct now *now, const struct progress_stage *s)
{
    while (s && s->child && (!now->waiting || s->child->running > 0))
        s = s->next;
    return s;
}

static struct now sum_up(const struct progress_view *v)
{
    struct now now = {.waiting = false};
    now.waiting = !shown(&now, v->under_way.stages);
    now.first = shown(&now, v->under_way.stages);
    for (const struct progress_stage *s = now.first; s; s = shown(&now, s->next)) {
        now.stages++;
        now.bytes += s->bytes;
        now.lines += s->lines;
        now.lost |= s->lost;
    }
    return now;
}

/* "(+N)" for those that are not named; it takes no other characters. Returns its columns. */
static size_t put_rest(char text[REST_BYTES], size_t n)
{
    text[0] = '\0';
    return n > 0 ? (size_t)snprintf(text, REST_BYTES, " (+%zu)", n) : 0;
}

/* Puts as many titles there as fit whole, beside the number of the others. Returns how many these
 * are. */
static size_t fit_titles(struct buf *out, const struct now *now, size_t columns)
{
    struct buf text = BUF_INIT;
    char rest[REST_BYTES];
    size_t fitting = 0, i = 1;
    for (const struct progress_stage *s = now->first; s; s = shown(now, s->next), i++) {
        buf_addstr(&text, i > 1 ? ", " : "");
        add_path(&text, s, s->title);
        if (text.failed || text_columns(text.data) > columns)
            break;
        if (text_columns(text.data) + put_rest(rest, now->stages - i) <= columns) {
            fitting = i;
            buf_clear(out);
            buf_add(out, text.data, text.len);
        }
    }
    buf_release(&text);
    return fitting;
}

/* Those that fit, at least the first one, cut, and how many there are besides if that fits, too. */
static void put_titles(struct buf *out, const struct now *now, size_t columns)
{
    struct buf first = BUF_INIT;
    char rest[REST_BYTES];
    size_t fitting = fit_titles(out, now, columns);
    size_t behind = put_rest(rest, now->stages - (fitting > 0 ? fitting : 1));
    if (fitting == 0) {
        behind = behind + TITLE_COLUMNS > columns ? 0 : behind;
        add_path(&first, now->first, now->first->title);
        if (!first.failed)
            text_add_cut(out, first.data, columns - behind);
    }
    buf_addstr(out, behind > 0 ? rest : "");
    buf_release(&first);
}

void progress_view_area(const struct progress_view *v, int64_t now_ms, struct buf *out)
{
    const struct now now = sum_up(v);
    const struct progress_run *top = v->under_way.runs;
    if (!now.first)
        return;
    struct buf head = BUF_INIT, titles = BUF_INIT, numbers = BUF_INIT;
    buf_addf(&head, "[%" PRIu64 "/%" PRIu64 "] ", top->done, top->stages);
    text_add_duration(&numbers, now_ms - now.first->started_ms);
    text_add_size(&numbers, now.bytes);
    buf_addf(&numbers, "  %" PRIu64 " line%s%s", now.lines, now.lines == 1 ? "" : "s",
             now.lost ? " …" : "");
    if (!head.failed && !numbers.failed)
        put_titles(&titles, &now, title_columns(v, head.data, numbers.data));
    if (!head.failed && !titles.failed && !numbers.failed)
        add_line(v, out, BOLD, head.data, titles.data, numbers.data);
    buf_release(&head);
    buf_release(&titles);
    buf_release(&numbers);
}
