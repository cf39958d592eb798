/*
 * The privacy rules as Hyperscan patterns. tools/guard_rules.c compiles them when the program is
 * built; guard_scan.c runs what came of that.
 */
#ifndef CORCH_GUARD_PATTERNS_H
#define CORCH_GUARD_PATTERNS_H

#include "guard_scan.h"

/* The original's \s, which is JavaScript's: Unicode blanks are spelled out, because the patterns
 * look at bytes (output need not be UTF-8). */
#define BLANK                                                                         \
    "(?:[\\t-\\r ]|\\xC2\\xA0|\\xE1\\x9A\\x80|\\xE2\\x80[\\x80-\\x8A\\xA8\\xA9\\xAF]" \
    "|\\xE2\\x81\\x9F|\\xE3\\x80\\x80|\\xEF\\xBB\\xBF)"

static const char *const patterns[] = {
    "(?:secret|password|api[_-]?key|token)" BLANK "*[:=]" BLANK "*",
    "AKIA",
    "-----BEGIN (?:RSA |EC )?PRIVATE KEY-----",
    "-----END (?:RSA |EC )?PRIVATE KEY-----",
};
static const unsigned flags[] = {HS_FLAG_CASELESS, 0, HS_FLAG_CASELESS, HS_FLAG_CASELESS};
static const unsigned ids[] = {MARK_VALUE, MARK_AKIA, MARK_KEY_BEGIN, MARK_KEY_END};
enum { PATTERNS = sizeof patterns / sizeof *patterns };

#endif
