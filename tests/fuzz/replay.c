/*
 * fuzz_<target> [--mutate N SEED] FILE-OR-FOLDER…
 *
 * Runs a fuzz target without a fuzzer: over the files, and over N mutations of them.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUTS = 1000, INPUT_MAX = 64 * 1024 };
static struct input {
    uint8_t *data;
    size_t size;
} inputs[INPUTS];
static size_t n_inputs;

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || n_inputs == INPUTS) {
        fprintf(stderr, "can't read %s\n", path);
        exit(2);
    }
    struct input *in = &inputs[n_inputs++];
    in->data = malloc(INPUT_MAX);
    in->size = in->data ? fread(in->data, 1, INPUT_MAX, file) : 0;
    fclose(file);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of their names, so that a seed means the same everywhere. */
static void add(const char *path)
{
    struct dirent **entries;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    int n = scandir(path, &entries, is_shown, alphasort);
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        add_file(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

static uint64_t state;

static size_t draw(size_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (size_t)(state % below) : 0;
}

static size_t splice(uint8_t *out, size_t n)
{
    const struct input *other = &inputs[draw(n_inputs)];
    size_t at = draw(n + 1), from = draw(other->size + 1), take = draw(other->size - from + 1);
    if (at + take > INPUT_MAX)
        take = INPUT_MAX - at;
    memcpy(out + at, other->data + from, take);
    return at + take > n ? at + take : n;
}

static size_t mutate(uint8_t *out)
{
    const struct input *in = &inputs[draw(n_inputs)];
    size_t n = in->size;
    memcpy(out, in->data, n);
    for (size_t times = 1 + draw(4); times > 0; times--) {
        switch (draw(5)) {
        case 0:
            if (n > 0)
                out[draw(n)] ^= (uint8_t)(1u << draw(8));
            break;
        case 1:
            if (n > 0)
                out[draw(n)] = (uint8_t)draw(256);
            break;
        case 2:
            n = splice(out, n);
            break;
        case 3:
            n = draw(n + 1);
            break;
        default:
            if (n < INPUT_MAX) {
                size_t at = draw(n + 1);
                memmove(out + at + 1, out + at, n - at);
                out[at] = (uint8_t) "\"\\{}[],:\n\0\xFF"[draw(11)];
                n++;
            }
        }
    }
    return n;
}

/* In memory of its own size, so that a look beyond it is found. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv)
{
    static uint8_t made[INPUT_MAX];
    size_t mutations = 0, i = 1;
    if (argc > 3 && strcmp(argv[1], "--mutate") == 0) {
        mutations = strtoul(argv[2], NULL, 10);
        state = strtoul(argv[3], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) + 1;
        printf("seed %s\n", argv[3]);
        i = 4;
    }
    for (; i < (size_t)argc; i++)
        add(argv[i]);
    for (i = 0; i < n_inputs; i++)
        run(inputs[i].data, inputs[i].size);
    for (i = 0; n_inputs > 0 && i < mutations; i++)
        run(made, mutate(made));
    printf("%zu inputs and %zu mutations\n", n_inputs, mutations);
    for (i = 0; i < n_inputs; i++)
        free(inputs[i].data);
    return n_inputs > 0 ? 0 : 2;
}
