/* What a crash has left: whatever the run's log holds, it is put in order, its lines are whole then, and a
 * second time there is nothing to do. */
#include "recover.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "fuzz.h"
#include "json.h"

static char path[] = "/tmp/corch-fuzz-XXXXXX";
static int folder = -1;
static char a[] = "a", b[] = "b", p[] = "p", yes[] = "true", rel[] = "rel";
static struct stage stages[] = {{.kind = STAGE_COMMAND, .id = a, .title = a, .command = yes},
                                {.kind = STAGE_COMMAND, .id = b, .title = b, .command = yes}};

static void remove_folder(void)
{
    static const char *const names[] = {"runner.ndjson", "commands/01-a.ndjson", "commands/02-b.ndjson"};
    for (size_t i = 0; i < 3; i++)
        unlinkat(folder, names[i], 0);
    unlinkat(folder, "commands", AT_REMOVEDIR);
    rmdir(path);
}

static void make_folder_once(void)
{
    if (folder >= 0)
        return;
    FUZZ_NEED(mkdtemp(path));
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_NEED(folder >= 0 && mkdirat(folder, "commands", 0700) == 0);
    atexit(remove_folder);
}

static void put(const char *name, const void *bytes, size_t n)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_NEED(fd >= 0 && write_all(fd, bytes, n) == 0);
    close(fd);
}

static void recover(struct buf *log)
{
    const struct pipeline pipeline = {.id = p, .title = p, .stages = stages, .n_stages = 2};
    const struct rundir dir = {folder, path, rel};
    struct notices notices = {0};
    struct manifest m;
    struct err e = {""};
    FUZZ_NEED(manifest_init(&m, &pipeline, 0) == 0);
    m.run_id = strdup("r");
    FUZZ_NEED(recover_run(&dir, &m, &pipeline, &notices, &e) == 0);
    manifest_release(&m);
    notices_release(&notices);
    FUZZ_NEED(json_slurp(folder, "runner.ndjson", false, log) == 0);
    FUZZ_NEED(log->len == 0 || log->data[log->len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;
    make_folder_once();
    put("runner.ndjson", data, size);
    put("commands/01-a.ndjson", "", 0);
    put("commands/02-b.ndjson", data, size / 2);
    recover(&once);
    recover(&twice);
    FUZZ_NEED(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
