/* What `misbehave lines` and `misbehave bytes` print: made here for the program, and again for
 * those who check what became of it. */
#ifndef TESTS_MADE_OUTPUT_H
#define TESTS_MADE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MADE_LINE ((size_t)80) /* bytes of a line, the newline included */

/* Line `number`, from 1; no NUL behind it. */
static inline void made_line(char out[MADE_LINE], unsigned long number)
{
    char head[MADE_LINE];
    int n = snprintf(head, sizeof head, "line %lu ", number);
    memset(out, '.', MADE_LINE);
    memcpy(out, head, (size_t)n);
    out[MADE_LINE - 1] = '\n';
}

/* The next byte of a pseudo-random row; `*state` is the seed at first, not 0. */
static inline char made_byte(uint64_t *state)
{
    *state ^= *state >> 12; /* xorshift64*, Vigna */
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (char)((*state * UINT64_C(2685821657736338717)) >> 56);
}

#endif
