/*
 * Owns the way from a run's id to its folder. Main thread. Every folder below the runs folder is
 * opened by descriptor, one step at a time, so that a planted link is followed nowhere. The one
 * link that may lead to a run, the pointer in local-mcp, is resolved first, and what it leads to is
 * walked to in the same way.
 */
#include "find_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "ids.h"
#include "json.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define MANIFEST "/manifest.json"

struct search {
    const struct workspace *w;
    const char *run_id;
    int runs; /* the runs folder */
    struct rundir *dir;
    struct err *e;
};

/* Of a place that was looked at. */
enum found { FOUND_ERROR = -1, FOUND_NOTHING, FOUND_RUN };

/* Opens the folder `rel`, names and single slashes, below `fd`. */
static int open_below(int fd, const char *rel)
{
    char name[NAME_MAX + 1];
    int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && *rel) {
        size_t n = strcspn(rel, "/");
        int next = -1;
        if (n <= NAME_MAX) {
            memcpy(name, rel, n);
            name[n] = '\0';
            next = openat(at, name, OPEN_FOLDER | O_NOFOLLOW);
        } else {
            errno = ENAMETOOLONG;
        }
        fd_close(&at);
        at = next;
        rel += n + (rel[n] == '/');
    }
    return at;
}

static enum found folder_error(const struct search *s, const char *rel)
{
    if (errno == ENOENT)
        return FOUND_NOTHING;
    if (errno == ENOTDIR || errno == ELOOP)
        return err_set(s->e, "%s/%s: a link or a file is where a folder should be; remove it",
                       s->w->runs, rel);
    return err_sys(s->e, "%s/%s", s->w->runs, rel);
}

/* Takes the folder `rel` below the runs folder as the run's, if it is there. */
static enum found take(struct search *s, const char *rel)
{
    struct rundir *d = s->dir;
    d->fd = open_below(s->runs, rel);
    if (d->fd < 0)
        return folder_error(s, rel);
    d->path = text_join(s->w->runs, "/", rel);
    d->rel = d->path ? workspace_relative(s->w, d->path) : NULL;
    return d->rel ? FOUND_RUN : err_sys(s->e, "run folder %s", rel);
}

static enum found take_cli(struct search *s, const char *task)
{
    struct buf rel = BUF_INIT;
    buf_addf(&rel, "%s/cli/%s", task, s->run_id);
    enum found found = rel.failed ? err_sys(s->e, "run %s", s->run_id) : take(s, rel.data);
    buf_release(&rel);
    return found;
}

/* What the redirecting document names: a manifest, or a run's folder. NULL: nothing. */
static char *redirected(const struct workspace *w, const char *text, size_t n)
{
    cJSON *doc = json_parse(text, n, "redirect", NULL);
    const char *manifest = json_get_str(doc, "manifest"),
               *folder = json_get_str(doc, "redirect_to");
    char *named = manifest ? strdup(manifest) : folder ? text_join(folder, MANIFEST, "") : NULL;
    char *path = named ? path_absolute(w->root, named) : NULL;
    free(named);
    cJSON_Delete(doc);
    return path;
}

/* The manifest that the pointer `folder`/manifest.json leads to, without links, or NULL. */
static char *follow_pointer(const struct search *s, const char *folder)
{
    struct buf text = BUF_INIT;
    char *path = NULL, *real = NULL;
    int fd = open_below(s->runs, folder);
    if (fd < 0)
        return NULL;
    if (json_slurp(fd, "manifest.json", false, &text) == 0) {
        path = redirected(s->w, text.data, text.len);
    } else if (errno == ELOOP) {
        path = text_join(s->w->runs, "/", folder);
        char *link = path ? text_join(path, MANIFEST, "") : NULL;
        free(path);
        path = link;
    }
    if (path)
        real = realpath(path, NULL);
    free(path);
    buf_release(&text);
    close(fd);
    return real;
}

/* Cuts the manifest's path `real` down to its folder as seen from the runs folder; NULL if that is
 * not below it or not a folder of the run's name. */
static const char *cut_to_folder(const struct search *s, char *real)
{
    char *runs = realpath(s->w->runs, NULL), *end = strrchr(real, '/');
    size_t n = runs ? strlen(runs) : 0;
    bool below = runs && strncmp(real, runs, n) == 0 && real[n] == '/' && end > real + n;
    free(runs);
    if (!below || strcmp(end, MANIFEST) != 0)
        return NULL;
    *end = '\0';
    const char *rel = real + n + 1, *name = strrchr(real, '/') + 1;
    return strcmp(name, s->run_id) == 0 ? rel : NULL;
}

/* A pointer that leads nowhere is passed over; one that leads astray is not. */
static enum found take_pointer(struct search *s)
{
    char *folder = text_join("local-mcp/", s->run_id, "");
    char *real = folder ? follow_pointer(s, folder) : NULL;
    free(folder);
    if (!real)
        return FOUND_NOTHING;
    const char *rel = cut_to_folder(s, real);
    enum found found =
        rel ? take(s, rel)
            : err_set(s->e,
                      "%s/local-mcp/%s/manifest.json does not lead to a run %s below %s; "
                      "remove it",
                      s->w->runs, s->run_id, s->run_id, s->w->runs);
    free(real);
    return found;
}

/* What stands in the way in other tasks' folders does not concern this run. */
static enum found take_any(struct search *s)
{
    int fd = openat(s->runs, ".", OPEN_FOLDER);
    DIR *tasks = fd >= 0 ? fdopendir(fd) : NULL;
    if (!tasks) {
        fd_close(&fd);
        return err_sys(s->e, "%s", s->w->runs);
    }
    enum found found = FOUND_NOTHING;
    const struct dirent *task;
    while (found != FOUND_RUN && (task = readdir(tasks))) {
        if (task->d_name[0] != '.')
            found = take_cli(s, task->d_name);
    }
    closedir(tasks);
    return found == FOUND_RUN ? FOUND_RUN : FOUND_NOTHING;
}

static int search_runs(struct search *s)
{
    enum found found = FOUND_NOTHING;
    s->runs = open(s->w->runs, OPEN_FOLDER);
    if (s->runs < 0 && errno != ENOENT)
        return err_sys(s->e, "%s", s->w->runs);
    if (s->runs >= 0) {
        found = take_cli(s, s->w->task_id);
        if (found == FOUND_NOTHING)
            found = take_pointer(s);
        if (found == FOUND_NOTHING)
            found = take_any(s);
        fd_close(&s->runs);
    }
    if (found == FOUND_NOTHING)
        return err_set(s->e, "Run '%s' not found in %s.", s->run_id, s->w->runs);
    return found == FOUND_RUN ? 0 : -1;
}

int find_run(const struct workspace *w, const char *run_id, struct rundir *dir,
             struct buf *manifest, struct err *e)
{
    struct search s = {.w = w, .run_id = run_id, .dir = dir, .e = e};
    *dir = (struct rundir){-1, NULL, NULL};
    if (id_check("run", run_id, e) != 0)
        return -1;
    int rc = search_runs(&s);
    if (rc == 0 && manifest && json_slurp(dir->fd, "manifest.json", false, manifest) != 0)
        rc = err_sys(e, "can't read %s/manifest.json", dir->path);
    if (rc != 0)
        rundir_release(dir);
    return rc;
}
