/*
 * gate_push KIND BYTES: pushes that much made output of a kind through a stream, the privacy guard
 * and the encoder, as a worker does, in one thread and without a clock: the same instructions each
 * time. `check` counts those of push_all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../made_output.h"
#include "chunk.h"

static const char *const texts[] = {"Größe — ",    "測試 ", "naïve ",
                                    "Привет мир ", "🎉 ",    "plain ascii in between\n"};
enum { TEXTS = sizeof texts / sizeof *texts };

static uint64_t state = 88172645463325252u;

/* The next piece of a kind of output; returns its length, at most 128. */
static size_t made(const char *kind, unsigned long number, char out[128])
{
    if (strcmp(kind, "lines") == 0) {
        made_line(out, number);
        return MADE_LINE;
    }
    if (strcmp(kind, "numbers") == 0)
        return (size_t)snprintf(out, 128, "%lu\n", number);
    if (strcmp(kind, "text") == 0) {
        const char *text = texts[(unsigned char)made_byte(&state) % TEXTS];
        memcpy(out, text, strlen(text));
        return strlen(text);
    }
    if (strcmp(kind, "secrets") == 0)
        return (size_t)snprintf(out, 128, "a line before it\nexport API_KEY=%016lx and more\n",
                                number);
    if (strcmp(kind, "random") != 0)
        exit(2);
    for (size_t i = 0; i < 64; i++)
        out[i] = made_byte(&state);
    return 64;
}

/* A file in memory of at least `size` bytes. */
static int make(const char *kind, size_t size)
{
    char piece[128], *all = malloc(size + sizeof piece);
    size_t n = 0;
    int fd = memfd_create("output", MFD_CLOEXEC);
    for (unsigned long number = 1; all && n < size; number++) {
        size_t got = made(kind, number, piece);
        memcpy(all + n, piece, got);
        n += got;
    }
    if (!all || fd < 0 || write(fd, all, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
        exit(3);
    free(all);
    return fd;
}

static struct stream stream;
static struct chunk chunk;

static void encode_all(struct chunk_context *context, bool last)
{
    size_t n;
    while (stream.ready > 0 &&
           (n = stream_encode(&stream, last, context, INT64_C(1795367280123), &chunk)) > 0)
        stream_consume(&stream, n);
}

/* What is measured. */
__attribute__((noinline)) void push_all(int fd);
void push_all(int fd)
{
    struct chunk_context context = {
        .correlation_id = "0b5e7c1a-1111-4222-8333-944445555666", .attempt = 1, .index = 1};
    bool whole;
    while (stream_read(&stream, fd, 1, &whole) > 0) {
        if (stream_full(&stream))
            encode_all(&context, false);
    }
    encode_all(&context, false);
    stream_end(&stream);
    encode_all(&context, true);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct guard *guard = guard_new(false);
    if (argc != 3 || !guard || guard_load(guard, &e) != 0)
        return 2;
    int fd = make(argv[1], strtoul(argv[2], NULL, 10));
    stream_reset(&stream, "stdout", guard, false);
    push_all(fd);
    if (stream.len != 0 || stream.guard_lost)
        return 4;
    guard_free(guard);
    return 0;
}
