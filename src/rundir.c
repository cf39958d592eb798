/* Owns the making of run folders and of the pointers to them, and what is swept from them. The thread that
 * starts a run. */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "fd.h"
#include "ids.h"
#include "json.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int check_folder(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return 0;
    errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
    return -1;
}

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return 0;
    return errno == EEXIST ? check_folder(path) : -1;
}

/* `path` is cut and mended on the way. Only what is missing is walked: an existing parent may be
 * a link. */
static int make_walk(char *path)
{
    if (make_folder(path) == 0)
        return 0;
    char *slash = strrchr(path, '/');
    if (errno != ENOENT || !slash || slash == path)
        return -1;
    *slash = '\0';
    int result = make_walk(path);
    *slash = '/';
    return result == 0 ? make_folder(path) : -1;
}

int make_folders(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -1;
    int result = make_walk(copy);
    int saved = errno;
    free(copy);
    errno = saved;
    return result;
}

int open_folder(const char *path)
{
    return open(path, OPEN_FOLDER | O_NOFOLLOW);
}

/* Reports errno about the folder `path`; ENOTDIR and ELOOP mean that something else is there. */
static int folder_error(struct err *e, const char *path)
{
    if (errno == ENOTDIR || errno == ELOOP)
        return err_set(e, "%s: a link or a file is where a folder should be; remove it", path);
    return err_sys(e, "%s", path);
}

/* The runs folder itself is the user's to choose and may be a link. */
static int open_runs(const char *path, struct err *e)
{
    int fd = open(path, OPEN_FOLDER);
    if (fd < 0 && errno == ENOENT && make_folders(path) == 0)
        fd = open(path, OPEN_FOLDER);
    return fd < 0 ? folder_error(e, path) : fd;
}

static int open_or_make(int at, const char *name)
{
    int fd = openat(at, name, OPEN_FOLDER | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT || (mkdirat(at, name, 0777) < 0 && errno != EEXIST))
        return fd;
    return openat(at, name, OPEN_FOLDER | O_NOFOLLOW);
}

static int below_error(struct err *e, const char *base, const char *const *names, size_t n)
{
    char path[sizeof e->text / 2];
    size_t used = (size_t)snprintf(path, sizeof path, "%s", base);
    for (size_t i = 0; i < n && used < sizeof path; i++)
        used += (size_t)snprintf(path + used, sizeof path - used, "/%s", names[i]);
    return folder_error(e, path);
}

/* Opens the folder `names` (ends with NULL) leads to from `runs`, making what is missing. One step
 * at a time, so that a planted link is followed nowhere. */
static int open_below(int runs, const char *runs_path, const char *const *names, struct err *e)
{
    int fd = runs;
    for (size_t i = 0; names[i]; i++) {
        int next = open_or_make(fd, names[i]);
        if (fd != runs)
            fd_close(&fd);
        if (next < 0)
            return below_error(e, runs_path, names, i + 1);
        fd = next;
    }
    return fd;
}

static int write_new(int dirfd, const char *name, const void *bytes, size_t n, mode_t mode)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    if (write_all(fd, bytes, n) == 0)
        return close(fd);
    fd_close(&fd);
    return -1;
}

static int set_paths(struct rundir *d, const struct workspace *w, const char *run_id, struct err *e)
{
    struct buf path = BUF_INIT;
    buf_addf(&path, "%s/%s/cli/%s", w->runs, w->task_id, run_id);
    d->path = buf_detach(&path);
    d->rel = d->path ? workspace_relative(w, d->path) : NULL;
    return d->rel ? 0 : err_sys(e, "run folder %s", run_id);
}

static int make_run(struct rundir *d, const struct workspace *w, int runs, const char *run_id,
                    struct err *e)
{
    int cli = open_below(runs, w->runs, (const char *const[]){w->task_id, "cli", NULL}, e);
    if (cli < 0)
        return -1;
    if (mkdirat(cli, run_id, 0700) == 0)
        d->fd = openat(cli, run_id, OPEN_FOLDER | O_NOFOLLOW);
    fd_close(&cli);
    return d->fd < 0 ? err_sys(e, "%s", d->path) : 0;
}

/* The file `name` of the run with one line in it. */
static int write_line(const struct rundir *d, const char *name, const char *line, struct err *e)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "%s\n", line);
    if (text.failed)
        errno = ENOMEM;
    int result = text.failed ? -1 : write_new(d->fd, name, text.data, text.len, 0600);
    if (result < 0)
        err_sys(e, "%s/%s", d->path, name);
    buf_release(&text);
    return result;
}

static int fill_run(const struct rundir *d, const char *token, int64_t now_ms, struct err *e)
{
    static const char *const folders[] = {"commands", "errors"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (mkdirat(d->fd, folders[i], 0700) < 0)
            return err_sys(e, "%s/%s", d->path, folders[i]);
    }
    char now[CLOCK_ISO_LEN + 1];
    clock_iso(now_ms, now);
    if (write_line(d, ".resume-token", token, e) < 0)
        return -1;
    return write_line(d, ".heartbeat", now, e);
}

static int print_redirect(const char *rel, int64_t now_ms, struct buf *out)
{
    struct buf manifest = BUF_INIT;
    buf_addf(&manifest, "%s/manifest.json", rel);
    cJSON *doc = json_new();
    json_str(doc, "redirect_to", rel);
    json_str(doc, "manifest", manifest.data);
    json_time(doc, "created_at", now_ms);
    json_str(doc, "note", "Generated by codex CLI for backward compatibility.");
    int result = json_print(doc, true, out);
    buf_addch(out, '\n');
    if (manifest.failed || out->failed) {
        errno = ENOMEM;
        result = -1;
    }
    cJSON_Delete(doc);
    buf_release(&manifest);
    return result;
}

/* mcp/<run>/manifest.json: a document that says where the run is. */
static int add_redirect(const struct rundir *d, const struct workspace *w, int runs,
                        const char *run_id, int64_t now_ms, struct err *e)
{
    const char *const names[] = {w->task_id, "mcp", run_id, NULL};
    int fd = open_below(runs, w->runs, names, e);
    if (fd < 0)
        return -1;
    struct buf text = BUF_INIT;
    int result = print_redirect(d->rel, now_ms, &text);
    if (result == 0)
        result = write_new(fd, "manifest.json", text.data, text.len, 0644);
    if (result < 0)
        err_sys(e, "%s/%s/mcp/%s/manifest.json", w->runs, w->task_id, run_id);
    buf_release(&text);
    fd_close(&fd);
    return result;
}

/* local-mcp/<run>/manifest.json: a link to the manifest. */
static int add_link(const struct workspace *w, int runs, const char *run_id, struct err *e)
{
    int fd = open_below(runs, w->runs, (const char *const[]){"local-mcp", run_id, NULL}, e);
    if (fd < 0)
        return -1;
    struct buf target = BUF_INIT;
    buf_addf(&target, "../../%s/cli/%s/manifest.json", w->task_id, run_id);
    if (target.failed)
        errno = ENOMEM;
    int result = target.failed ? -1 : symlinkat(target.data, fd, "manifest.json");
    if (result < 0)
        err_sys(e, "%s/local-mcp/%s/manifest.json", w->runs, run_id);
    buf_release(&target);
    fd_close(&fd);
    return result;
}

int rundir_create(struct rundir *d, const struct workspace *w, const char *run_id,
                  const char *token, int64_t now_ms, struct err *e)
{
    *d = (struct rundir){-1, NULL, NULL};
    int runs = open_runs(w->runs, e);
    if (runs < 0)
        return -1;
    bool made = set_paths(d, w, run_id, e) == 0 && make_run(d, w, runs, run_id, e) == 0 &&
                fill_run(d, token, now_ms, e) == 0 &&
                add_redirect(d, w, runs, run_id, now_ms, e) == 0 &&
                add_link(w, runs, run_id, e) == 0;
    fd_close(&runs);
    if (!made)
        rundir_release(d);
    return made ? 0 : -1;
}

static int sweep_folder(int at, const char *name)
{
    int fd = openat(at, name, OPEN_FOLDER | O_NOFOLLOW);
    int swept = fd < 0 ? 0 : atomicfile_sweep(fd, NULL);
    fd_close(&fd);
    return swept;
}

int rundir_sweep(int dirfd)
{
    int swept = sweep_folder(dirfd, "."), more = sweep_folder(dirfd, "errors");
    return swept < 0 || more < 0 ? -1 : swept + more;
}

void rundir_release(struct rundir *d)
{
    fd_close(&d->fd);
    free(d->path);
    free(d->rel);
    *d = (struct rundir){-1, NULL, NULL};
}

int rundir_open(int dirfd, const char *path, int flags, mode_t mode)
{
    const char *slash = strchr(path, '/');
    int at = dirfd;
    if (slash) {
        char folder[NAME_MAX + 1];
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        at = openat(dirfd, folder, OPEN_FOLDER | O_NOFOLLOW);
        if (at < 0)
            return -1;
    }
    int fd = openat(at, slash ? slash + 1 : path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);
    if (slash)
        fd_close(&at);
    return fd;
}

void rundir_command_file(char *out, size_t size, const char *folder, size_t index, const char *id,
                         const char *ext)
{
    char slug[ID_SLUG_MAX + 1];
    id_slug(id, slug);
    snprintf(out, size, "%s/%02zu-%s.%s", folder, index, slug, ext);
}
