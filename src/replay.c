/* Owns the reading back of a command's log. One thread. */
#include "replay.h"

#include <string.h>

#include "fd.h"
#include "rundir.h"

/* Goes to the last line that begins an execution. */
static int find_start(struct logtail *log)
{
    static const char head[] = "{\"type\":\"command:start\"";
    uint64_t offset = 0, start = 0;
    char *line;
    size_t n;
    int got;
    while ((got = logtail_next(log, &line, &n)) == 1) {
        if (n >= sizeof head - 1 && memcmp(line, head, sizeof head - 1) == 0)
            start = offset;
        offset += n + 1;
    }
    return got < 0 ? -1 : logtail_seek(log, start);
}

int replay_open(struct replay *r, const char *folder, size_t index, const char *id, bool resumed)
{
    char name[128];
    int dir = open_folder(folder);
    if (dir < 0)
        return -1;
    rundir_command_file(name, sizeof name, "commands", index, id, "ndjson");
    int rc = logtail_open(&r->log, dir, name);
    fd_close(&dir);
    if (rc != 0)
        return -1;
    r->open = true;
    if (!resumed || find_start(&r->log) == 0)
        return 0;
    replay_close(r);
    return -1;
}

void replay_close(struct replay *r)
{
    if (r->open)
        logtail_close(&r->log);
    r->open = false;
}

int replay_next(struct replay *r, struct exec_line *line)
{
    char *text;
    size_t n;
    int got = logtail_next(&r->log, &text, &n);
    if (got == 1)
        exec_line_parse(line, text, n);
    return got;
}
