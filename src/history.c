/* Owns out/<task>/runs.json. The thread that drives the run, after its end. */
#include "history.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomicfile.h"
#include "bounds.h"
#include "clock.h"
#include "environment.h"
#include "ids.h"
#include "json.h"
#include "jsontext.h"
#include "lockfile.h"
#include "taskdir.h"

#define TAIL "\n]}\n"
#define TIME_CHARS "0123456789-:.TZ"

/* The file: head, one summary per line, tail. All text is borrowed. */
struct line {
    const char *text;
    size_t n; /* without the comma and newline behind it */
};

struct history {
    struct line *lines;
    size_t n, room;
    char last_run_at[64]; /* "" without runs */
};

static int add_line(struct history *h, const char *text, size_t n)
{
    if (h->n == h->room) {
        size_t room = h->room ? h->room * 2 : 512;
        struct line *lines = realloc(h->lines, room * sizeof *lines);
        if (!lines)
            return -1;
        h->lines = lines;
        h->room = room;
    }
    h->lines[h->n++] = (struct line){text, n};
    return 0;
}

static bool skip(const char **at, const char *text)
{
    size_t n = strlen(text);
    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

/* `head`: {"taskId":"…","lastRunAt":" of our task. False if the text begins otherwise. */
static bool split_head(struct history *h, const char **at, const char *head)
{
    if (!skip(at, head))
        return false;
    size_t n = strspn(*at, TIME_CHARS);
    if (n >= sizeof h->last_run_at)
        return false;
    memcpy(h->last_run_at, *at, n);
    h->last_run_at[n] = '\0';
    *at += n;
    return skip(at, "\",\"runs\":[\n");
}

/* Splits a file of our layout. 1: done, 0: it is another layout, -1: out of memory. */
static int split(struct history *h, const struct buf *file, const char *head)
{
    size_t tail = strlen(TAIL);
    if (file->len < tail || memchr(file->data, '\0', file->len))
        return 0;
    const char *at = file->data, *end = file->data + file->len - tail;
    if (strcmp(end, TAIL) != 0 || !split_head(h, &at, head))
        return 0;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *last = stop ? stop - 2 : end - 1; /* the closing brace */
        if (!skip(&at, "{\"taskId\":\"") || last <= at || *last != '}' || (stop && last[1] != ','))
            return 0;
        at -= strlen("{\"taskId\":\"");
        if (add_line(h, at, (size_t)(last + 1 - at)) < 0)
            return -1;
        at = stop ? stop + 1 : end;
    }
    return 1;
}

static void move_first(cJSON *object, const char *key)
{
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(object, key);
    if (item)
        cJSON_InsertItemInArray(object, 0, item);
}

/* Brings a history of another layout into ours. 1: done, 0: it is no history of this task,
 * -1: out of memory. */
static int convert(const struct buf *file, const char *task_id, const char *head, struct buf *out)
{
    cJSON *doc = json_parse(file->data, file->len, "runs.json", NULL);
    cJSON *runs = cJSON_GetObjectItemCaseSensitive(doc, "runs"), *run;
    const char *task = json_get_str(doc, "taskId"), *last = json_get_str(doc, "lastRunAt");
    bool good = cJSON_IsArray(runs) && task && strcmp(task, task_id) == 0;
    buf_addf(out, "%s%s\",\"runs\":[", head, last ? last : "");
    cJSON_ArrayForEach(run, runs)
    {
        good = good && json_get_str(run, "runId") && json_get_str(run, "taskId");
        move_first(run, "runId");
        move_first(run, "taskId");
        buf_addstr(out, run != runs->child ? ",\n" : "\n");
        if (json_print(run, false, out) < 0)
            out->failed = true;
    }
    buf_addstr(out, TAIL);
    cJSON_Delete(doc);
    return !good ? 0 : out->failed ? -1 : 1;
}

/* Reads the file's runs; `file` holds their text. 1: read, 0: not a history, -1: errno. */
static int load(struct history *h, const struct taskdir *out, const char *task_id, const char *head,
                struct buf *file)
{
    if (json_slurp(out->fd, "runs.json", false, file) < 0)
        return errno == ENOENT ? 1 : -1;
    int result = split(h, file, head);
    if (result != 0)
        return result;
    struct buf converted = BUF_INIT;
    h->n = 0;
    result = convert(file, task_id, head, &converted);
    buf_release(file);
    *file = converted;
    return result == 1 ? split(h, file, head) : result;
}

static int set_aside(const struct taskdir *out, struct err *e)
{
    char hex[9], name[64];
    id_hex(hex, 8);
    snprintf(name, sizeof name, "runs.json.corrupt-%s", hex);
    if (renameat(out->fd, "runs.json", out->fd, name) == 0)
        return 0;
    return err_sys(e, "%s/runs.json is damaged and can't be set aside", out->path);
}

static int allowed_runs(size_t *out, struct err *e)
{
    const char *text = getenv("CODEX_ORCHESTRATOR_HISTORY_RUNS");
    unsigned long n;
    *out = HISTORY_RUNS;
    if (!text || !*text)
        return 0;
    *out = SIZE_MAX;
    if (strcmp(text, "all") == 0)
        return 0;
    if (environment_number(text, &n) != 0 || n == 0)
        return err_set(e,
                       "CODEX_ORCHESTRATOR_HISTORY_RUNS is \"%s\": neither \"all\" nor a number "
                       "from 1",
                       text);
    *out = n;
    return 0;
}

/* Removes the line of the same run: it begins as the new one, as far as the run id. */
static void drop_same(struct history *h, const char *prefix, size_t n)
{
    for (size_t i = 0; i < h->n; i++) {
        if (h->lines[i].n > n && memcmp(h->lines[i].text, prefix, n) == 0) {
            memmove(&h->lines[i], &h->lines[i + 1], (h->n - i - 1) * sizeof *h->lines);
            h->n--;
            return;
        }
    }
}

static void join(const struct history *h, const char *head, size_t from, struct buf *out)
{
    buf_addf(out, "%s%s\",\"runs\":[", head, h->last_run_at);
    for (size_t i = from; i < h->n; i++) {
        buf_addstr(out, i > from ? ",\n" : "\n");
        buf_add(out, h->lines[i].text, h->lines[i].n);
    }
    buf_addstr(out, TAIL);
}

/* The new summary: its line, and how the line of any summary of this run begins. */
struct news {
    const struct history_entry *entry;
    struct buf prefix;
    char timestamp[CLOCK_ISO_LEN + 1];
};

static int news_init(struct news *news, const char *task_id, const struct history_entry *entry,
                     struct err *e)
{
    *news = (struct news){.entry = entry};
    clock_iso(entry->ended_ms, news->timestamp);
    jsontext_open(&news->prefix, NULL, '{');
    jsontext_str(&news->prefix, "taskId", task_id);
    jsontext_str(&news->prefix, "runId", entry->run_id);
    if (news->prefix.failed)
        return err_set(e, "run history: out of memory");
    if (entry->n > news->prefix.len &&
        memcmp(entry->text, news->prefix.data, news->prefix.len) == 0 &&
        !memchr(entry->text, '\n', entry->n))
        return 0;
    errno = EINVAL;
    return err_set(e, "run history: the summary does not begin with taskId and runId, or is not on "
                      "one line");
}

/* `size`: of the file that was read. */
static int update(struct history *h, size_t size, const struct taskdir *out, const char *head,
                  const struct news *news, size_t allowed, struct err *e)
{
    struct buf text = BUF_INIT;
    buf_room(&text, size + news->entry->n); /* at once: growing costs more than the copying */
    drop_same(h, news->prefix.data, news->prefix.len);
    if (strcmp(news->timestamp, h->last_run_at) > 0)
        snprintf(h->last_run_at, sizeof h->last_run_at, "%s", news->timestamp);
    int result = add_line(h, news->entry->text, news->entry->n);
    if (result == 0)
        join(h, head, h->n > allowed ? h->n - allowed : 0, &text);
    if (result < 0 || text.failed)
        result = err_set(e, "run history: out of memory");
    else
        result = taskdir_replace(out, "runs.json", text.data, text.len, e);
    buf_release(&text);
    return result;
}

static int load_and_update(const struct workspace *w, const struct taskdir *out, const char *head,
                           const struct news *news, size_t allowed, struct err *e)
{
    struct history h = {0};
    struct buf file = BUF_INIT;
    int result = load(&h, out, w->task_id, head, &file);
    if (result < 0) {
        err_sys(e, "%s/runs.json can't be read", out->path);
    } else if (result == 0) {
        h.n = 0;
        h.last_run_at[0] = '\0';
        result = set_aside(out, e);
    }
    if (result >= 0)
        result = update(&h, file.len, out, head, news, allowed, e);
    free(h.lines);
    buf_release(&file);
    return result;
}

static int lock_and_update(const struct workspace *w, const struct news *news, size_t allowed,
                           long long wait_ms, struct err *e)
{
    struct taskdir out;
    struct lockfile lock;
    struct buf path = BUF_INIT, head = BUF_INIT;
    buf_addf(&path, "%s/%s.lock", w->runs, w->task_id);
    jsontext_open(&head, NULL, '{');
    jsontext_str(&head, "taskId", w->task_id);
    buf_addstr(&head, ",\"lastRunAt\":\"");
    int result = path.failed || head.failed ? err_set(e, "run history: out of memory")
                                            : taskdir_open(&out, w->out, w->task_id, NULL, e);
    if (result == 0) {
        int held = lockfile_take(&lock, path.data, wait_ms, e);
        if (held == 0)
            err_set(e, "%s: another run holds the lock of the run history", path.data);
        if (held == 1 && lock.healed)
            atomicfile_sweep(out.fd, "runs.json");
        result = held == 1 ? load_and_update(w, &out, head.data, news, allowed, e) : -1;
        if (held == 1)
            lockfile_drop(&lock);
        taskdir_close(&out);
    }
    buf_release(&path);
    buf_release(&head);
    return result;
}

int history_record(const struct workspace *w, const struct history_entry *entry, long long wait_ms,
                   struct err *e)
{
    struct news news;
    size_t allowed;
    if (allowed_runs(&allowed, e) < 0)
        return -1;
    int result = news_init(&news, w->task_id, entry, e);
    if (result == 0)
        result = lock_and_update(w, &news, allowed, wait_ms, e);
    buf_release(&news.prefix);
    return result;
}
