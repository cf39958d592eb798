/* How fast output is encoded: GB/s of input for short lines, long lines, UTF-8 text and binary. */
#include "bench.h"
#include "ndjson.h"

enum { SIZE = 1 << 20, ROUNDS = 101, WARM_UP = 3 };

static char *in, *out;

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

static void encode(bool binary)
{
    size_t used = SIZE, wrote;
    if (binary) {
        wrote = ndjson_escape_lossy(out, in, SIZE);
        wrote += ndjson_base64(out + wrote, in, SIZE);
    } else {
        wrote = ndjson_escape(out, (size_t)SIZE * 8, in, SIZE, &used);
    }
    bench_need(wrote >= SIZE && used == SIZE, "encode all of the input");
}

static void measure(const char *name, bool binary)
{
    struct samples rates;
    samples_init(&rates, ROUNDS);
    for (int r = -WARM_UP; r < ROUNDS; r++) {
        int64_t begin = bench_now();
        encode(binary);
        int64_t took = bench_now() - begin;
        if (r >= 0)
            samples_add(&rates, (double)SIZE / (double)took);
    }
    printf("%-38s %s\n", name, samples_spread(&rates, 2).text);
    samples_release(&rates);
}

int main(void)
{
    bench_title("Encoding output as NDJSON, 1 MiB at a time");
    in = bench_alloc(SIZE);
    out = bench_alloc((size_t)SIZE * 8);
    printf("%-38s GB/s of input: median (lowest to highest) of %d\n", "input", ROUNDS);
    fill_lines(20);
    measure("lines of 20 bytes", false);
    fill_lines(80);
    measure("lines of 80 bytes", false);
    fill_lines(4000);
    measure("lines of 4000 bytes", false);
    fill_text("Größe — 測試 naïve Привет мир 🎉 plain ascii in between\n");
    measure("UTF-8 text", false);
    fill_random();
    measure("random bytes, replacing text and base64", true);
    free(in);
    free(out);
    return 0;
}
