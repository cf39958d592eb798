/* Owns stdout and stderr. Main thread. */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "json.h"

int output_format(const char *command, const char *value, enum output_format *out)
{
    *out = value && strcmp(value, "json") == 0 ? FORMAT_JSON : FORMAT_TEXT;
    if (!value || *out == FORMAT_JSON || strcmp(value, "text") == 0)
        return 0;
    output_message("%s: --format must be json or text, not '%s'", command, value);
    return -1;
}

void output_message(const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_addf(&text, "codex-orchestrator: %s", line);
    output_safe(stderr, "", text.data ? text.data : line);
    buf_release(&text);
}

bool output_ansi(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool output_coloured(int fd)
{
    const char *no = getenv("NO_COLOR");
    return output_ansi(fd) && !(no && *no);
}

bool output_ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

size_t output_control(const char *text)
{
    unsigned char c = (unsigned char)*text, next = c ? (unsigned char)text[1] : 0;
    if (c < 0x20 || c == 0x7F)
        return 1;
    return c == 0xC2 && next >= 0x80 && next < 0xA0 ? 2 : 0;
}

void output_safe(FILE *to, const char *indent, const char *text)
{
    bool at_start = true;
    for (const char *p = text; *p; p++) {
        size_t n = *p == '\t' || *p == '\n' ? 0 : output_control(p);
        if (at_start)
            fputs(indent, to);
        at_start = *p == '\n';
        if (n > 0)
            fprintf(to, "\\x%02x", (unsigned char)p[n - 1]);
        else
            fputc(*p, to);
        p += n > 1 ? n - 1 : 0;
    }
    if (!at_start)
        fputc('\n', to);
}

void output_json(cJSON *doc, bool pretty)
{
    struct buf text = BUF_INIT;
    if (json_print(doc, pretty, &text) == 0)
        printf("%s\n", text.data);
    else
        output_message("can't print the result: %s", strerror(errno));
    buf_release(&text);
    cJSON_Delete(doc);
}

int output_end(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    output_message("can't write to stdout: %s", strerror(errno));
    return -1;
}
