/* How fast output is encoded: GB/s of input for short lines, long lines, UTF-8 text and binary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ndjson.h"

enum { SIZE = 1 << 20, ROUNDS = 31 };

static char in[SIZE], out[SIZE * 8];

static void fill_lines(size_t length)
{
    for (size_t i = 0; i < SIZE; i++)
        in[i] = i % length == length - 1 ? '\n' : (char)('a' + i % 26);
}

static void fill_text(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < SIZE; i++)
        in[i] = i < SIZE / n * n ? text[i % n] : '.';
}

static void fill_random(void)
{
    uint64_t state = 88172645463325252u; /* xorshift64 */
    for (size_t i = 0; i < SIZE; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        in[i] = (char)state;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *name, int binary)
{
    double rates[ROUNDS];
    for (int r = -3; r < ROUNDS; r++) { /* the first three touch memory and are not counted */
        size_t used = 0, wrote;
        int64_t begin = clock_mono_ns();
        wrote = binary ? ndjson_escape_lossy(out, in, SIZE) : ndjson_escape(out, sizeof out, in, SIZE, &used);
        if (binary)
            wrote += ndjson_base64(out + wrote, in, SIZE / 4);
        int64_t took = clock_mono_ns() - begin;
        if (wrote == 0 || (!binary && used != SIZE))
            abort();
        if (r >= 0)
            rates[r] = (double)SIZE / (double)took;
    }
    qsort(rates, ROUNDS, sizeof *rates, compare);
    printf("%-24s %6.2f GB/s (median of %d; %.2f to %.2f)\n", name, rates[ROUNDS / 2], ROUNDS,
           rates[0], rates[ROUNDS - 1]);
}

int main(void)
{
    fill_lines(20);
    measure("lines of 20 bytes", 0);
    fill_lines(80);
    measure("lines of 80 bytes", 0);
    fill_lines(4000);
    measure("lines of 4000 bytes", 0);
    fill_text("Größe — 測試 naïve Привет мир 🎉 plain ascii in between\n");
    measure("UTF-8 text", 0);
    fill_random();
    measure("binary (lossy)", 1);
    return 0;
}
