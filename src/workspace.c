/* Owns where things are: root, runs and outputs folders, the task; and the arithmetic of paths.
 * Opening reads the environment: main thread. The path functions: any thread. */
#include "workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "ids.h"
#include "json.h"

#define DEFAULT_TASK "0101"

static void drop_component(struct buf *out)
{
    while (out->len > 0 && out->data[--out->len] != '/')
        ;
    if (out->data)
        out->data[out->len] = '\0';
}

/* Adds the components of `path` to `out`, each behind a slash; the root folder is "". */
static void add_normal(struct buf *out, const char *path)
{
    for (const char *p = path + strspn(path, "/"); *p; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            drop_component(out);
        } else if (n != 1 || *p != '.') {
            buf_addch(out, '/');
            buf_add(out, p, n);
        }
        p += n;
    }
}

char *path_absolute(const char *base, const char *path)
{
    struct buf out = BUF_INIT;
    if (*path != '/')
        add_normal(&out, base);
    add_normal(&out, path);
    if (out.len == 0)
        buf_addch(&out, '/');
    return buf_detach(&out);
}

/* Bytes the two paths share in whole components. */
static size_t common_length(const char *a, const char *b)
{
    size_t i = 0, common = 0;
    for (; a[i] && a[i] == b[i]; i++) {
        if (a[i] == '/')
            common = i;
    }
    bool a_ends = a[i] == '\0' || a[i] == '/', b_ends = b[i] == '\0' || b[i] == '/';
    return a_ends && b_ends ? i : common;
}

static void add_component(struct buf *out, const char *text)
{
    if (out->len > 0)
        buf_addch(out, '/');
    buf_addstr(out, text);
}

char *path_relative(const char *from, const char *to)
{
    struct buf out = BUF_INIT;
    size_t common = common_length(from, to);
    const char *up = from + common, *down = to + common;
    for (up += strspn(up, "/"); *up; up += strspn(up, "/")) {
        add_component(&out, "..");
        up += strcspn(up, "/");
    }
    down += strspn(down, "/");
    if (*down)
        add_component(&out, down);
    if (out.len == 0)
        buf_addch(&out, '.');
    return buf_detach(&out);
}

char *workspace_relative(const struct workspace *w, const char *path)
{
    return path_relative(w->root, path);
}

/* An environment variable; NULL if it is unset or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int find_root(struct workspace *w, const char *root, struct err *e)
{
    const char *source = "repository root", *cwd_source = "current folder";
    char *cwd = NULL;
    if (!root) {
        source = "CODEX_ORCHESTRATOR_ROOT";
        root = variable(source);
    }
    if (!root || *root != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd)
            return err_sys(e, "%s", cwd_source);
    }
    w->root = path_absolute(cwd ? cwd : "/", root ? root : ".");
    free(cwd);
    struct stat st;
    if (!root)
        source = cwd_source;
    if (!w->root || stat(w->root, &st) < 0)
        return err_sys(e, "%s: %s", source, w->root ? w->root : "path");
    if (S_ISDIR(st.st_mode))
        return 0;
    errno = ENOTDIR;
    return err_sys(e, "%s: %s", source, w->root);
}

static int find_folder(char **out, const struct workspace *w, const char *name,
                       const char *fallback, struct err *e)
{
    const char *value = variable(name);
    *out = path_absolute(w->root, value ? value : fallback);
    return *out ? 0 : err_sys(e, "%s", name);
}

static int find_task(struct workspace *w, const char *task, struct err *e)
{
    const char *source = "--task";
    if (!task) {
        source = "MCP_RUNNER_TASK_ID";
        task = variable(source);
    }
    if (!task)
        task = DEFAULT_TASK;
    struct err why;
    if (id_check("task", task, &why) < 0)
        return err_set(e, "%s: %s", source, why.text);
    w->task_id = strdup(task);
    return w->task_id ? 0 : err_sys(e, "%s", source);
}

/* The slug of `task` in the task index; NULL with `e` untouched if it has none, else with `e` set:
 * the index is not what it should be. */
static const char *index_slug(const cJSON *index, const char *path, const char *task, struct err *e)
{
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(index, "items"), *item;
    if (!cJSON_IsArray(items)) {
        err_set(e, "%s: expected an object with an array \"items\"", path);
        return NULL;
    }
    size_t at = 0;
    cJSON_ArrayForEach(item, items)
    {
        const char *id = json_get_str(item, "id");
        const cJSON *slug = cJSON_GetObjectItemCaseSensitive(item, "slug");
        if (!cJSON_IsObject(item)) {
            err_set(e, "%s: items[%zu] is not an object", path, at);
            return NULL;
        }
        if (id && strcmp(id, task) == 0) {
            if (slug && !cJSON_IsNull(slug) && !cJSON_IsString(slug))
                err_set(e, "%s: items[%zu]: \"slug\" is not a string", path, at);
            return cJSON_GetStringValue(slug);
        }
        at++;
    }
    return NULL;
}

static int read_slug(struct workspace *w, const char *path, struct buf *text, struct err *e)
{
    struct err why = {""};
    const char *slug = NULL;
    cJSON *index = NULL;
    if (json_slurp(AT_FDCWD, path, true, text) == 0) {
        index = json_parse(text->data, text->len, path, &why);
        slug = index ? index_slug(index, path, w->task_id, &why) : NULL;
    } else if (errno != ENOENT) {
        err_sys(&why, "%s", path);
    }
    if (!why.text[0]) {
        w->task_slug = strdup(slug ? slug : w->task_id);
        if (!w->task_slug)
            err_sys(&why, "%s", path);
    }
    cJSON_Delete(index);
    return why.text[0] ? err_set(e, "%s", why.text) : 0;
}

static int find_slug(struct workspace *w, struct err *e)
{
    struct buf text = BUF_INIT;
    char *path = path_absolute(w->root, "tasks/index.json");
    int result = path ? read_slug(w, path, &text, e) : err_sys(e, "tasks/index.json");
    buf_release(&text);
    free(path);
    return result;
}

int workspace_open(struct workspace *w, const char *root, const char *task, struct err *e)
{
    *w = (struct workspace){NULL, NULL, NULL, NULL, NULL};
    if (find_root(w, root, e) == 0 &&
        find_folder(&w->runs, w, "CODEX_ORCHESTRATOR_RUNS_DIR", ".runs", e) == 0 &&
        find_folder(&w->out, w, "CODEX_ORCHESTRATOR_OUT_DIR", "out", e) == 0 &&
        find_task(w, task, e) == 0 && find_slug(w, e) == 0)
        return 0;
    workspace_release(w);
    return -1;
}

void workspace_release(struct workspace *w)
{
    free(w->root);
    free(w->runs);
    free(w->out);
    free(w->task_id);
    free(w->task_slug);
    *w = (struct workspace){NULL, NULL, NULL, NULL, NULL};
}
