/*
 * The privacy guard: looks at a command's output as a stream, so that a secret split over several
 * writes is found. Three rules, the original's:
 *   private-key      -----BEGIN [RSA |EC ]PRIVATE KEY-----           (any case)
 *   sensitive-token  (secret|password|api[_-]?key|token) \s* [:=] \s* and 6 or more non-blanks (any
 * case) sensitive-token  AKIA and 16 of [0-9A-Z] In shadow mode output passes as it is and hits are
 * noted. In enforce mode what a rule matches never gets out: the value of a token becomes
 * [REDACTED], the key material behind a BEGIN line, up to and with its END line (or to the end of
 * the stream), becomes [BLOCKED].
 *
 * Blanks before a value are Unicode's, as the original's; a value ends with the next ASCII blank,
 * so it may be longer than the original's, never shorter. Its characters are counted in UTF-16
 * units, as the original's; a byte that is no part of a character counts as one. The key after AKIA
 * is the whole run of [0-9A-Z]. Where matches overlap they are one hit: a value takes in what
 * begins inside it. In enforce mode a private key takes in everything up to its end; in shadow mode
 * only its BEGIN line is a hit, and tokens behind it are hits of their own.
 *
 * Hyperscan, loaded when the first output comes, finds where a rule may begin; a small state
 * machine then follows the value, and holds back at most GUARD_HELD bytes that are not decided yet.
 * One worker per guard; the compiled rules are shared.
 */
#ifndef CORCH_GUARD_H
#define CORCH_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum guard_rule { GUARD_SENSITIVE_TOKEN, GUARD_PRIVATE_KEY };
enum { GUARD_RULES = GUARD_PRIVATE_KEY + 1 };

#define GUARD_HELD                                                                      \
    ((size_t)15)       /* bytes held back at the most: AKIA's 15, or 5 units of 3 bytes \
                        */
#define GUARD_HITS 32u /* hits one call reports at the most; it stops at the last */

/* A rule matched; `at`: offset in what guard_feed put out of the byte that decided it (shadow: the
 * first of the 6th character, the 16th behind AKIA, the last of the BEGIN line) or of its
 * replacement (enforce). Always less than what was put out. */
struct guard_hit {
    size_t at;
    enum guard_rule rule;
};

struct guard;

/* A guard for one stream after another. NULL: out of memory. Cheap: nothing is loaded yet. */
struct guard *guard_new(bool enforce);
void guard_free(struct guard *g);  /* may be NULL */
void guard_reset(struct guard *g); /* a new stream begins */

/* Loads the rules now instead of with the first output: who enforces them wants to know before a
 * command starts. 0, or -1 and `e`. */
int guard_load(struct guard *g, struct err *e);

/*
 * Takes in[0, n) or a prefix of it, puts what may get out into `out` (room: guard_room(n)) and its
 * length into `*put`, and hits in order of `at` into hits[0, *n_hits). Returns the bytes taken:
 * less than n only if GUARD_HITS hits were found (call again with the rest, unchanged). In shadow
 * mode the output is the input, and `out` may be `in`: then nothing is copied. In enforce mode they
 * must not overlap. -1 and `e` if the rules can't be loaded or run: then nothing may be let out,
 * and every call fails until the next guard_reset.
 */
long guard_feed(struct guard *g, const char *in, size_t n, char *out, size_t *put,
                struct guard_hit hits[GUARD_HITS], size_t *n_hits, struct err *e);

/* The stream has ended and all of it was taken: puts out what was held back and is no secret after
 * all (at most GUARD_HELD bytes). */
void guard_end(struct guard *g, char *out, size_t *put);

/* Room needed for the output of n bytes: replacements may be longer than what they replace. */
size_t guard_room(size_t n);

const char *guard_rule_name(enum guard_rule rule);
const char *guard_reason(enum guard_rule rule, bool enforce); /* as in privacy-decisions.ndjson */
const char *guard_action(enum guard_rule rule, bool enforce); /* allow, redact, block */

/* The mode the environment asks for: CODEX_PRIVACY_GUARD_MODE, or CODEX_PRIVACY_GUARD_ENFORCE if
 * the first is not set at all (an empty one counts), says 1, true, enforce, on or yes (any case,
 * trimmed). Not while another thread changes the environment. */
bool guard_enforced(void);

#endif
