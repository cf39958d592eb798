/* Owns what follows a run's end. The thread that drives the run. */
#include "epilogue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "exec_record.h"
#include "fd.h"
#include "history.h"
#include "metrics.h"
#include "persister.h"
#include "rundir.h"
#include "summary.h"

/* .runs/<task>/<run>/manifest.json: the summary where other tools look for it. A link to the one
 * in the run's folder; a copy where there is an old one already or links are not to be had. */
static int write_task_copy(const struct workspace *w, const struct journal *j,
                           const struct buf *text)
{
    struct buf path = BUF_INIT;
    buf_addf(&path, "%s/%s/%s", w->runs, j->manifest.task_id, j->manifest.run_id);
    int dir = !path.failed && make_folders(path.data) == 0 ? open_folder(path.data) : -1;
    int rc = dir < 0 ? -1 : linkat(j->dir.fd, "run-summary.json", dir, "manifest.json", 0);
    if (dir >= 0 && rc != 0) {
        atomicfile_sweep(dir, NULL); /* the folder is the run's, and so ours */
        rc = atomicfile_replace(dir, "manifest.json", text->data, text->len, 0600, ATOMIC_DERIVED);
    }
    fd_close(&dir);
    buf_release(&path);
    return rc;
}

static void write_summary(const struct workspace *w, struct journal *j, const struct buf *text,
                          struct notices *notices)
{
    struct manifest *m = &j->manifest;
    int rc = atomicfile_replace(j->dir.fd, "run-summary.json", text->data, text->len, 0600,
                                ATOMIC_DERIVED);
    if (rc == 0) {
        free(m->run_summary_path); /* of a run that is taken up again */
        m->run_summary_path = text_join(j->dir.rel, "/run-summary.json", "");
    }
    if (rc != 0 || write_task_copy(w, j, text) != 0)
        notices_add(notices, "run %s: its summary was not written: %s", m->run_id, strerror(errno));
}

/* The history is read and written whole, up to its bounded length: that is done beside the metrics
 * and the last manifest, which mostly wait for the disk. */
struct history_task {
    const struct workspace *workspace;
    struct history_entry entry;
    long long wait_ms; /* for its lock */
    struct buf summary; /* empty: nothing to record */
    struct err e;
    int result;
    pthread_t thread;
    bool threaded;
};

/* A newline is only between members and elements, where it may be left out. */
static void bring_to_one_line(struct buf *b)
{
    size_t kept = 0;
    for (size_t at = 0; at < b->len;) {
        const char *newline = memchr(b->data + at, '\n', b->len - at);
        size_t n = newline ? (size_t)(newline - b->data) - at : b->len - at;
        memmove(b->data + kept, b->data + at, n);
        kept += n;
        at += n + 1;
    }
    b->len = kept;
}

static void *record_history(void *arg)
{
    struct history_task *t = arg;
    bring_to_one_line(&t->summary);
    t->entry.text = t->summary.data;
    t->entry.n = t->summary.len;
    t->result = history_record(t->workspace, &t->entry, t->wait_ms, &t->e);
    return NULL;
}

static void begin_history(struct history_task *t)
{
    if (t->summary.len == 0)
        return;
    t->threaded = pthread_create(&t->thread, NULL, record_history, t) == 0;
    if (!t->threaded)
        record_history(t);
}

static void end_history(struct history_task *t, const char *run_id, struct notices *notices)
{
    if (t->threaded)
        pthread_join(t->thread, NULL);
    if (t->result != 0)
        notices_add(notices, "run %s: %s", run_id, t->e.text);
    buf_release(&t->summary);
}

/* Writes the summary. Returns the text that a parent run shows: free() it; NULL: none. */
static char *conclude(struct history_task *t, struct journal *j, const struct plan *plan,
                      int64_t now_ms, struct notices *notices)
{
    t->entry = (struct history_entry){.run_id = j->manifest.run_id, .ended_ms = now_ms};
    if (summary_print(&j->manifest, plan, now_ms, &t->summary) == 0) {
        write_summary(t->workspace, j, &t->summary, notices);
    } else {
        notices_add(notices, "run %s: its summary was not written: %s", j->manifest.run_id,
                    strerror(errno));
        buf_release(&t->summary);
    }
    return summary_review(&j->manifest);
}

static void write_record(struct journal *j, const struct exec_request *exec, struct cancel *cancel,
                         int64_t now_ms, struct notices *notices)
{
    struct manifest *m = &j->manifest;
    struct err e = {""};
    if (exec_record_write(j, exec, cancel, now_ms, &e) == 0)
        m->run_summary_path = text_join(j->dir.rel, "/run-summary.json", "");
    else
        notices_add(notices, "run %s: %s", m->run_id, e.text);
}

char *epilogue_write(const struct workspace *w, struct journal *j, const struct plan *plan,
                     const struct exec_request *exec, struct cancel *cancel,
                     struct notices *notices)
{
    struct manifest *m = &j->manifest;
    struct err e = {""};
    int64_t now = clock_wall_ms();
    char *shown = NULL;
    bool ending = cancel_level(cancel) != CANCEL_NONE;
    struct history_task history = {
        .workspace = w, .wait_ms = ending ? HISTORY_LOCK_ENDING_MS : HISTORY_LOCK_MS};
    if (manifest_guardrails(m, now) != 0)
        notices_add(notices, "run %s: its guardrails were not summed up: %s", m->run_id,
                    strerror(errno));
    if (m->guardrail.recommendation)
        notices_add(notices, "%s", m->guardrail.recommendation);
    if (exec)
        write_record(j, exec, cancel, now, notices);
    else
        shown = conclude(&history, j, plan, now, notices);
    begin_history(&history);
    int recorded = metrics_record(w, m, now, &e);
    m->metrics_recorded = recorded == 1;
    if (recorded != 1)
        notices_add(notices, "run %s: %s", m->run_id, e.text);
    if (persister_write_closed(j) != 0)
        notices_add(notices, "run %s: the last manifest was not written: %s", m->run_id,
                    strerror(errno));
    end_history(&history, m->run_id, notices);
    return shown;
}
