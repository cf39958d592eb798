/* The log of a command while it grows: each whole line comes once and unchanged, wherever the reading was
 * interrupted, and what is printed of a line that is JSON is JSON. The first byte says when it grows. */
#include "logtail.h"

#include <ctype.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec_event.h"
#include "fuzz.h"

/* cJSON refuses what is nested deeper than its own limit, and a payload is one deeper than its line. */
static bool is_shallow(const char *text, size_t n)
{
    size_t brackets = 0;
    for (size_t i = 0; i < n; i++)
        brackets += text[i] == '[' || text[i] == '{';
    return brackets < CJSON_NESTING_LIMIT - 1;
}

/* cJSON takes what is no number behind \u for a zero. */
static bool escapes_are_whole(const char *text, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] != '\\' || text[++i] != 'u')
            continue;
        for (size_t k = i + 1; k <= i + 4; k++) {
            if (k >= n || !isxdigit((unsigned char)text[k]))
                return false;
        }
    }
    return true;
}

static bool is_json(const char *text, size_t n)
{
    const char *end = NULL;
    cJSON *doc = cJSON_ParseWithLengthOpts(text, n, &end, false);
    bool whole = doc && end == text + n && escapes_are_whole(text, n);
    cJSON_Delete(doc);
    return whole;
}

static void check_print(const struct exec_line *l, const struct exec_log *x)
{
    for (enum exec_form form = EXEC_FORM_RECORD; form <= EXEC_FORM_STREAM; form++) {
        struct buf out = BUF_INIT;
        exec_line_print(l, x, form, &out);
        FUZZ_NEED(!out.failed && is_json(out.data, out.len));
        buf_release(&out);
    }
}

static void check_tails(const struct exec_log *x)
{
    for (int stream = 1; stream <= 2; stream++) {
        struct buf out = BUF_INIT;
        exec_tail_print(x, stream, &out);
        FUZZ_NEED(!out.failed && is_json(out.data, out.len));
        buf_release(&out);
    }
}

static void take(struct exec_log *x, const char *line, size_t n)
{
    struct exec_line l;
    struct buf out = BUF_INIT;
    exec_line_parse(&l, line, n);
    bool good = is_shallow(line, n) && is_json(line, n);
    FUZZ_NEED(exec_log_take(x, &l) == 0 || !good);
    if (l.kind == EXEC_OTHER)
        return;
    if (good)
        check_print(&l, x);
    else
        exec_line_print(&l, x, EXEC_FORM_STREAM, &out);
    buf_release(&out);
}

/* Takes the lines that are there, which must be those of the input from `at` on; returns behind them. */
static size_t read_on(struct logtail *t, struct exec_log *x, const char *in, size_t at)
{
    char *line;
    size_t n;
    int rc;
    while ((rc = logtail_next(t, &line, &n)) == 1) {
        FUZZ_NEED(memcmp(line, in + at, n) == 0 && in[at + n] == '\n' && line[n] == '\0');
        take(x, line, n);
        at += n + 1;
    }
    FUZZ_NEED(rc == 0);
    return at;
}

static void append(int fd, const char *bytes, size_t n)
{
    off_t here = lseek(fd, 0, SEEK_CUR);
    FUZZ_NEED(lseek(fd, 0, SEEK_END) >= 0 && write(fd, bytes, n) == (ssize_t)n);
    FUZZ_NEED(lseek(fd, here, SEEK_SET) == here);
}

static size_t behind_last_newline(const char *in, size_t n)
{
    while (n > 0 && in[n - 1] != '\n')
        n--;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *in = (const char *)data + 1;
    size_t n = size - 1, first = n * data[0] / 255, whole = behind_last_newline(in, n);
    struct logtail t = LOGTAIL_INIT;
    struct exec_log *x = exec_log_new(), *again = exec_log_new();
    t.fd = memfd_create("log", MFD_CLOEXEC);
    FUZZ_NEED(t.fd >= 0 && x && again);
    append(t.fd, in, first);
    size_t at = read_on(&t, x, in, 0);
    FUZZ_NEED(at == behind_last_newline(in, first));
    append(t.fd, in + first, n - first);
    FUZZ_NEED(read_on(&t, x, in, at) == whole);
    check_tails(x);
    FUZZ_NEED(logtail_seek(&t, at) == 0 && read_on(&t, again, in, at) == whole);
    logtail_close(&t);
    exec_log_free(x);
    exec_log_free(again);
    return 0;
}
