/* Guardrail commands of a run: counted, judged, and the outcome put into words. Pure. */
#ifndef CORCH_GUARDRAIL_H
#define CORCH_GUARDRAIL_H

#include <stdbool.h>
#include <stddef.h>

struct manifest_command;
struct manifest_guardrail;

/* Counts the guardrail commands among `n` entries. A succeeded one whose summary says that it
 * skipped its checks counts as skipped. */
void guardrail_count(struct manifest_guardrail *g, const struct manifest_command *commands,
                     size_t n);

/* Sets present, summary and recommendation from the counts. Without any guardrail command the
 * recommendation depends on whether one is `required`. */
void guardrail_word(struct manifest_guardrail *g, bool required);

/* The run's summary (may be NULL) with the outcome in place of earlier outcomes. free() it;
 * NULL: out of memory. */
char *guardrail_summary(const char *summary, const struct manifest_guardrail *g);

#endif
