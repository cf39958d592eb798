/* Owns the wording of a command's end. Pure functions, any thread. */
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "proc.h"

int outcome_code(const struct outcome *o)
{
    return o->timed_out ? OUTCOME_TIMED_OUT : o->signal ? 128 : o->exit_code;
}

/* Length of the white space character at p as ECMAScript's trim() knows it, or 0. */
static size_t blank(const char *p)
{
    static const char *const wide[] = {
        "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
        "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87",
        "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
        "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};
    if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
        return 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        if (strncmp(p, wide[i], strlen(wide[i])) == 0)
            return strlen(wide[i]);
    }
    return 0;
}

static size_t previous(const char *text, size_t n)
{
    do
        n--;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80);
    return n;
}

const char *trim_text(const char *text, size_t *n)
{
    for (size_t len; (len = blank(text)) > 0;)
        text += len;
    size_t end = strlen(text);
    while (end > 0) {
        size_t at = previous(text, end);
        if (blank(text + at) != end - at)
            break;
        end = at;
    }
    *n = end;
    return text;
}

char *cut_text(const char *text, size_t n, size_t units, bool *cut)
{
    size_t at = 0;
    while (at < n) {
        unsigned char c = (unsigned char)text[at];
        size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        size_t costs = len == 4 ? 2 : 1; /* beyond the BMP: a surrogate pair */
        if (costs > units)
            break;
        units -= costs;
        at += len;
    }
    static const char ellipsis[] = "…";
    bool more = at < n;
    if (cut)
        *cut = more;
    char *result = malloc(at + sizeof ellipsis);
    if (!result)
        return NULL;
    memcpy(result, text, at);
    memcpy(result + at, more ? ellipsis : "", more ? sizeof ellipsis : 1);
    return result;
}

/* Appends the beginning of `text`; returns whether there was any. */
static bool add_output(struct buf *b, const char *before, const char *text)
{
    size_t n;
    text = trim_text(text, &n);
    if (n == 0)
        return false;
    char *shown = cut_text(text, n, SUMMARY_UNITS, NULL);
    buf_addstr(b, before);
    if (shown)
        buf_addstr(b, shown);
    else
        b->failed = true;
    free(shown);
    return true;
}

static void add_timeout(struct buf *b, const struct outcome *o)
{
    buf_addstr(b, "Timed out");
    if (o->timeout_ms > 0)
        buf_addf(b, " after %g s", (double)o->timeout_ms / 1000);
}

char *outcome_summary(const struct outcome *o, const struct stage *stage)
{
    struct buf b = BUF_INIT;
    char name[16];
    if (stage->summary_hint && *stage->summary_hint) {
        buf_addstr(&b, stage->summary_hint);
    } else if (o->timed_out) {
        add_timeout(&b, o);
        add_output(&b, " — ", o->err);
    } else if (o->signal) {
        buf_addf(&b, "Terminated with signal %s", proc_signal_name(o->signal, name));
        add_output(&b, " — ", o->err);
    } else if (o->exit_code != 0) {
        buf_addf(&b, "Exited with code %d", o->exit_code);
        add_output(&b, " — ", o->err);
    } else if (!add_output(&b, "", o->out) && !add_output(&b, "", o->err)) {
        buf_addstr(&b, "Command completed with code 0");
    }
    return buf_detach(&b);
}

cJSON *outcome_details(const struct outcome *o)
{
    cJSON *details = json_new();
    size_t n;
    bool cut = false;
    char name[16];
    const char *text = trim_text(o->err, &n);
    char *err = cut_text(text, n, ERROR_DETAIL_UNITS, &cut);
    json_int(details, "exit_code", outcome_code(o));
    json_str(details, "sandbox_state", "sandboxed");
    json_str(details, "stderr", err);
    if (o->signal)
        json_str(details, "signal", proc_signal_name(o->signal, name));
    if (o->out_cut)
        json_bool(details, "stdout_truncated", true);
    if (cut || o->err_cut)
        json_bool(details, "stderr_truncated", true);
    free(err);
    return details;
}
