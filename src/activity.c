/* Owns the judgement whether a run is live, stale or interrupted. Any thread. */
#include "activity.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "clock.h"
#include "manifest.h"
#include "run_lock.h"

const char *activity_name(enum activity_state s)
{
    static const char *const names[] = {"finished", "live", "stale", "interrupted"};
    return names[s];
}

static int read_manifest(const struct rundir *dir, cJSON **manifest, bool *finished, struct err *e)
{
    struct buf text = BUF_INIT;
    char *name = text_join(dir->path, "/manifest.json", "");
    enum run_status status;
    cJSON *doc = NULL;
    int rc = -1;
    if (!name || json_slurp(dir->fd, "manifest.json", false, &text) != 0) {
        err_sys(e, "can't read %s/manifest.json", dir->path);
    } else {
        doc = json_parse(text.data, text.len, name, e);
        if (doc && !run_status_parse(json_get_str(doc, "status"), &status))
            err_set(e, "%s: \"status\" is missing or unknown", name);
        else if (doc)
            rc = 0;
    }
    if (rc == 0) {
        *manifest = doc;
        *finished = status != RUN_QUEUED && status != RUN_IN_PROGRESS;
    } else {
        cJSON_Delete(doc);
    }
    free(name);
    buf_release(&text);
    return rc;
}

/* Whether whoever made the folder locks the run it works on. */
static bool made_by_us(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & 077) == 0;
}

static int64_t newest_heartbeat(int fd, const cJSON *manifest)
{
    struct buf text = BUF_INIT;
    int64_t recorded = clock_parse_iso(json_get_str(manifest, "heartbeat_at"));
    int64_t last = CLOCK_NEVER;
    if (json_slurp(fd, ".heartbeat", false, &text) == 0 && text.len > 0) {
        text.data[strcspn(text.data, " \r\n")] = '\0';
        last = clock_parse_iso(text.data);
    }
    buf_release(&text);
    return last > recorded ? last : recorded;
}

static enum activity_state judge(const struct activity *a, int fd)
{
    bool silent = a->heartbeat_ms == CLOCK_NEVER;
    bool fresh = !silent && clock_wall_ms() - a->heartbeat_ms <= a->stale_after_ms;
    if (a->locked)
        return fresh || silent ? ACTIVITY_LIVE : ACTIVITY_STALE;
    return fresh && !made_by_us(fd) ? ACTIVITY_LIVE : ACTIVITY_INTERRUPTED;
}

int activity_look(const struct rundir *dir, cJSON **manifest, struct activity *out, struct err *e)
{
    bool finished;
    if (read_manifest(dir, manifest, &finished, e) != 0)
        return -1;
    *out = (struct activity){.locked = !finished && run_is_locked(dir->fd)};
    if (!finished && !out->locked) {
        /* It may have ended, and given its lock back, since we read. */
        cJSON_Delete(*manifest);
        *manifest = NULL;
        if (read_manifest(dir, manifest, &finished, e) != 0)
            return -1;
    }
    int64_t limit =
        json_get_int(*manifest, "heartbeat_stale_after_seconds", HEARTBEAT_STALE_SECONDS);
    if (limit <= 0 || limit > INT32_MAX)
        limit = HEARTBEAT_STALE_SECONDS;
    out->stale_after_ms = limit * 1000;
    out->heartbeat_ms = newest_heartbeat(dir->fd, *manifest);
    out->state = finished ? ACTIVITY_FINISHED : judge(out, dir->fd);
    return 0;
}
