/* Owns the folders of a task that hold records about its runs. The thread that drives the run. */
#include "taskdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "fd.h"
#include "rundir.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int open_base(const char *base)
{
    int fd = open(base, OPEN_FOLDER);
    if (fd < 0 && errno == ENOENT && make_folders(base) == 0)
        fd = open(base, OPEN_FOLDER);
    return fd;
}

/* Goes one folder down, making it if need be; `at` is closed. */
static int enter(int at, const char *name)
{
    if (at < 0)
        return -1;
    int fd = mkdirat(at, name, 0777) < 0 && errno != EEXIST
                 ? -1
                 : openat(at, name, OPEN_FOLDER | O_NOFOLLOW);
    fd_close(&at);
    return fd;
}

int taskdir_open(struct taskdir *d, const char *base, const char *task_id, const char *sub,
                 struct err *e)
{
    struct buf path = BUF_INIT;
    struct stat st;
    buf_addf(&path, "%s/%s%s%s", base, task_id, sub ? "/" : "", sub ? sub : "");
    d->fd = -1;
    d->path = buf_detach(&path);
    if (!d->path)
        return err_sys(e, "folder of task %s", task_id);
    d->fd = enter(open_base(base), task_id);
    if (sub)
        d->fd = enter(d->fd, sub);
    if (d->fd < 0 || fstat(d->fd, &st) < 0) {
        if (errno == ENOTDIR || errno == ELOOP)
            err_set(e, "%s: a link or a file is where a folder should be; remove it", d->path);
        else
            err_sys(e, "folder %s", d->path);
        taskdir_close(d);
        return -1;
    }
    d->file_mode = st.st_mode & 0644;
    return 0;
}

void taskdir_close(struct taskdir *d)
{
    fd_close(&d->fd);
    free(d->path);
    *d = (struct taskdir){.fd = -1};
}

int taskdir_replace(const struct taskdir *d, const char *name, const void *bytes, size_t n,
                    struct err *e)
{
    if (atomicfile_replace(d->fd, name, bytes, n, d->file_mode, ATOMIC_DERIVED) == 0)
        return 0;
    return err_sys(e, "%s/%s can't be written", d->path, name);
}

int taskdir_replace_json(const struct taskdir *d, const char *name, cJSON *doc, struct err *e)
{
    struct buf text = BUF_INIT;
    int result = json_print(doc, true, &text);
    cJSON_Delete(doc);
    buf_addch(&text, '\n');
    if (result < 0 || text.failed) {
        errno = ENOMEM;
        result = err_sys(e, "%s/%s", d->path, name);
    } else {
        result = taskdir_replace(d, name, text.data, text.len, e);
    }
    buf_release(&text);
    return result;
}
