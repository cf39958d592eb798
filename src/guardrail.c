/* Owns how guardrail commands are judged and worded. Pure functions, any thread. */
#include "guardrail.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "manifest.h"

static const char missing_advice[] =
    "Guardrail command missing; run \"codex-orchestrator start diagnostics\" to capture reviewer "
    "diagnostics.";
static const char failed_advice[] =
    "Guardrail command failed; re-run \"codex-orchestrator start diagnostics\" to gather failure "
    "artifacts.";

static bool says_skipped(const char *summary)
{
    return summary &&
           (strcasestr(summary, "[spec-guard] skipped") ||
            strcasestr(summary, "spec-guard skipped") || strcasestr(summary, "spec guard skipped"));
}

void guardrail_count(struct manifest_guardrail *g, const struct manifest_command *commands,
                     size_t n)
{
    g->total = g->succeeded = g->failed = g->skipped = g->other = 0;
    for (size_t i = 0; i < n; i++) {
        const struct manifest_command *c = &commands[i];
        if (!mentions_guardrail(c->id, c->title, c->command))
            continue;
        g->total++;
        if (c->state == STAGE_FAILED)
            g->failed++;
        else if (c->state == STAGE_SKIPPED ||
                 (c->state == STAGE_SUCCEEDED && says_skipped(c->summary)))
            g->skipped++;
        else if (c->state == STAGE_SUCCEEDED)
            g->succeeded++;
        else
            g->other++;
    }
}

static void word_mixture(struct manifest_guardrail *g)
{
    const struct {
        unsigned n;
        const char *what;
    } parts[] = {{g->succeeded, "passed"}, {g->skipped, "skipped"}, {g->other, "pending"}};
    char list[64] = "";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t used = strlen(list);
        if (parts[i].n)
            snprintf(list + used, sizeof list - used, "%s%u %s", used ? ", " : "", parts[i].n,
                     parts[i].what);
    }
    snprintf(g->summary, sizeof g->summary, "Guardrails: spec-guard partial (%s of %u).", list,
             g->total);
}

void guardrail_word(struct manifest_guardrail *g, bool required)
{
    g->present = g->succeeded > 0;
    g->recommendation = NULL;
    if (g->total == 0) {
        g->recommendation = required ? missing_advice : NULL;
        snprintf(g->summary, sizeof g->summary, "Guardrails: spec-guard command not found.");
    } else if (g->failed > 0) {
        g->recommendation = failed_advice;
        snprintf(g->summary, sizeof g->summary, "Guardrails: spec-guard failed (%u/%u failed).",
                 g->failed, g->total);
    } else if (g->succeeded == g->total) {
        snprintf(g->summary, sizeof g->summary, "Guardrails: spec-guard succeeded (%u passed).",
                 g->total);
    } else if (g->skipped == g->total) {
        snprintf(g->summary, sizeof g->summary, "Guardrails: spec-guard skipped (all %u skipped).",
                 g->total);
    } else {
        word_mixture(g);
    }
}

static bool is_outcome(const char *line)
{
    line += strspn(line, " \t");
    return strncasecmp(line, "Guardrails:", strlen("Guardrails:")) == 0 ||
           strncmp(line, "Guardrail command missing;", strlen("Guardrail command missing;")) == 0 ||
           strncmp(line, "Guardrail command failed;", strlen("Guardrail command failed;")) == 0;
}

char *guardrail_summary(const char *summary, const struct manifest_guardrail *g)
{
    struct buf text = BUF_INIT;
    for (const char *line = summary ? summary : ""; *line;) {
        size_t n = strcspn(line, "\n");
        if (!is_outcome(line)) {
            buf_add(&text, line, n);
            buf_addch(&text, '\n');
        }
        line += n + (line[n] == '\n');
    }
    if (g->recommendation)
        buf_addf(&text, "%s\n", g->recommendation);
    buf_addstr(&text, g->summary);
    return buf_detach(&text);
}
