/*
 * The privacy guard: looks at a command's output as a stream, so that a secret split over several
 * writes is found. Three rules, the original's:
 *   private-key      -----BEGIN [RSA |EC ]PRIVATE KEY-----           (any case)
 *   sensitive-token  (secret|password|api[_-]?key|token) \s* [:=] \s* and 6 or more non-blanks (any case)
 *   sensitive-token  AKIA and 16 of [0-9A-Z]
 * In shadow mode output passes as it is and hits are noted. In enforce mode what a rule matches
 * never gets out: the value of a token (to its end, the next blank) becomes [REDACTED], the key
 * material between the BEGIN line and its END line (or the end of the stream) becomes [BLOCKED].
 * Hyperscan, loaded when the first output comes, finds where a rule may begin; a small state machine
 * then follows the value, and holds back at most GUARD_HELD bytes that are not decided yet.
 * One worker per guard; the compiled rules are shared.
 */
#ifndef CORCH_GUARD_H
#define CORCH_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum guard_rule { GUARD_SENSITIVE_TOKEN, GUARD_PRIVATE_KEY };
enum { GUARD_RULES = GUARD_PRIVATE_KEY + 1 };

#define GUARD_HELD ((size_t)24) /* bytes held back at the most */
#define GUARD_HITS 32u          /* hits one call reports at the most; it stops at the last */

/* A rule matched; `at`: offset in what guard_feed put out where the match was decided (shadow) or
 * where its replacement stands (enforce). */
struct guard_hit {
    size_t at;
    enum guard_rule rule;
};

struct guard;

/* A guard for one stream after another. NULL: out of memory. Cheap: nothing is loaded yet. */
struct guard *guard_new(bool enforce);
void guard_free(struct guard *g);
void guard_reset(struct guard *g); /* a new stream begins */

/*
 * Takes in[0, n) or a prefix of it, puts what may get out into `out` (room: guard_room(n)) and its
 * length into `*put`, and hits in order of `at` into hits[0, *n_hits). Returns the bytes taken: less
 * than n only if GUARD_HITS hits were found (call again with the rest). In shadow mode the output
 * is the input. -1 and `e` if the rules can't be loaded: then nothing may be let out.
 */
long guard_feed(struct guard *g, const char *in, size_t n, char *out, size_t *put,
                struct guard_hit hits[GUARD_HITS], size_t *n_hits, struct err *e);

/* The stream has ended: puts out what was held back and is no secret (at most GUARD_HELD bytes);
 * at most one hit. */
void guard_end(struct guard *g, char *out, size_t *put, struct guard_hit hits[GUARD_HITS],
               size_t *n_hits);

/* Room needed for the output of n bytes: replacements may be longer than what they replace. */
size_t guard_room(size_t n);

const char *guard_rule_name(enum guard_rule rule);
const char *guard_reason(enum guard_rule rule, bool enforce); /* as in privacy-decisions.ndjson */
const char *guard_action(enum guard_rule rule, bool enforce); /* allow, redact, block */

/* The mode the environment asks for: CODEX_PRIVACY_GUARD_ENFORCE or CODEX_PRIVACY_GUARD_MODE say 1,
 * true, enforce, on or yes (any case, trimmed). */
bool guard_enforced(void);

#endif
