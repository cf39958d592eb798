/* How fast output is encoded, by kind of output and of processor. */
#include "bench.h"
#include "ndjson_path.h"

enum { SIZE = 1 << 20, ROUNDS = 101, WARM_UP = 3, PATHS = 4 };

static char *in, *out;

static void fill_lines(size_t length)
{
    for (size_t i = 0; i < SIZE; i++)
        in[i] = i % length == length - 1 ? '\n' : (char)('a' + i % 26);
}

/* Words of a few letters, each behind a colour. */
static void fill_words(const char *colour)
{
    size_t n = strlen(colour);
    for (size_t i = 0; i < SIZE; i++)
        in[i] = i % 16 < n ? colour[i % 16] : 'w';
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

typedef void encoder(const struct ndjson_path *path);

static void escape(const struct ndjson_path *path)
{
    size_t used, wrote = path->escape(out, (size_t)SIZE * 8, in, SIZE, &used);
    bench_need(wrote >= SIZE && used == SIZE, "encode all of the input");
}

static void replace(const struct ndjson_path *path)
{
    bench_need(path->escape_lossy(out, in, SIZE) > SIZE, "encode all of the input");
}

static void base64(const struct ndjson_path *path)
{
    bench_need(path->base64(out, in, SIZE) > SIZE, "encode all of the input");
}

/* Of what base64 has left. */
static void unbase64(const struct ndjson_path *path)
{
    size_t digits = (SIZE + 2) / 3 * 4;
    bench_need(path->unbase64(out + digits, out, digits) == SIZE, "decode all of the output");
}

/* The paths take turns, so that all of them see the same machine. */
static void measure(const char *name, encoder *encode)
{
    struct samples rates[PATHS];
    size_t n = 0;
    for (; n < PATHS && ndjson_path(n); n++)
        samples_init(&rates[n], ROUNDS);
    for (int r = -WARM_UP; r < ROUNDS; r++) {
        for (size_t i = 0; i < n; i++) {
            int64_t begin = bench_now();
            encode(ndjson_path(i));
            int64_t took = bench_now() - begin;
            if (r >= 0)
                samples_add(&rates[i], (double)SIZE / (double)took);
        }
    }
    for (size_t i = 0; i < n; i++) {
        printf("%-24s %-8s %s\n", i ? "" : name, ndjson_path(i)->name,
               samples_spread(&rates[i], 2).text);
        samples_release(&rates[i]);
    }
}

int main(void)
{
    bench_title("Encoding output as NDJSON, 1 MiB at a time");
    in = bench_alloc(SIZE);
    out = bench_alloc((size_t)SIZE * 8);
    printf("%-24s %-8s GB/s of input: median (lowest to highest) of %d\n", "input", "with", ROUNDS);
    fill_lines(20);
    measure("lines of 20 bytes", escape);
    fill_lines(80);
    measure("lines of 80 bytes", escape);
    fill_lines(4000);
    measure("lines of 4000 bytes", escape);
    fill_words("\x1b[31m");
    measure("words in colour", escape);
    fill_text("Größe — 測試 naïve Привет мир 🎉 plain ascii in between\n");
    measure("UTF-8 text", escape);
    fill_random();
    measure("random bytes, replaced", replace);
    measure("random bytes, base64", base64);
    measure("the same, decoded", unbase64);
    free(in);
    free(out);
    return 0;
}
