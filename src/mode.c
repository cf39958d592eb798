/* Owns the choice between "mcp" and "cloud" (docs/execution-mode.md). Pure functions, any thread.
 */
#include "mode.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define HINT_ENOUGH 8 /* bytes that tell "cloud" and "mcp" from anything longer */

static const char *trim(const char *text, size_t *n)
{
    static const char blanks[] = " \t\n\v\f\r";
    text += strspn(text, blanks);
    *n = strlen(text);
    while (*n > 0 && strchr(blanks, text[*n - 1]))
        --*n;
    return text;
}

static bool is_word(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static enum flag parse(enum mode_site site, const char *text)
{
    static const char *const cloud[] = {"cloud", "true", "1", "yes"};
    static const char *const mcp[] = {"mcp", "false", "0", "no"};
    if (!text)
        return FLAG_UNSET;
    size_t n = strlen(text), words = 1;
    if (site == MODE_MANAGER) {
        text = trim(text, &n);
        words = sizeof cloud / sizeof *cloud;
    }
    for (size_t i = 0; i < words; i++) {
        if (is_word(text, n, cloud[i]))
            return FLAG_TRUE;
        if (is_word(text, n, mcp[i]))
            return FLAG_FALSE;
    }
    return FLAG_UNSET;
}

bool mode_requires_cloud(enum mode_site site, const struct mode_input *in)
{
    for (size_t i = 0; i < sizeof in->flags / sizeof *in->flags; i++) {
        if (in->flags[i] != FLAG_UNSET)
            return in->flags[i] == FLAG_TRUE;
    }
    const char *first = site == MODE_MANAGER ? in->mode : in->execution_mode;
    const char *second = site == MODE_MANAGER ? in->execution_mode : in->mode;
    enum flag asked = parse(site, first);
    if (asked == FLAG_UNSET && site != MODE_PLANNER)
        asked = parse(site, second);
    return asked == FLAG_UNSET ? in->parallel : asked == FLAG_TRUE;
}

void mode_stage_hint(const struct plan_hints *hints, char *hint, unsigned size)
{
    const char *const spellings[] = {hints->plan_executionMode, hints->stage_executionMode,
                                     hints->stage_execution_mode, hints->stage_mode};
    size_t i = 0, n = 0;
    while (i < 3 && !spellings[i])
        i++;
    const char *text = spellings[i] ? trim(spellings[i], &n) : "";
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--; /* never inside a character */
    }
    for (i = 0; i < n; i++)
        hint[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
    hint[n] = '\0';
}

bool mode_stage_requires_cloud(const struct plan_hints *hints)
{
    char hint[HINT_ENOUGH];
    mode_stage_hint(hints, hint, sizeof hint);
    const struct mode_input in = {
        .flags = {hints->plan_requiresCloud != FLAG_UNSET ? hints->plan_requiresCloud
                                                          : hints->plan_requires_cloud,
                  hints->stage_requires_cloud, hints->stage_requiresCloud},
        .execution_mode = hint,
    };
    return mode_requires_cloud(MODE_PLANNER, &in);
}

const char *mode_name(bool cloud)
{
    return cloud ? "cloud" : "mcp";
}
