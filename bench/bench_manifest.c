/*
 * Printing and writing a manifest of 10 to 100,000 commands: all entries printed anew, against one
 * that has changed while the other entries' bytes are reused; and its memory.
 */
#include <fcntl.h>
#include <malloc.h>

#include "atomicfile.h"
#include "bench.h"
#include "made_manifest.h"

enum { ROUNDS = 101, FEWEST = 3 };
#define BUDGET (4 * BENCH_SECOND) /* for each size */

struct rig {
    struct manifest manifest;
    struct buf image;
    int folder;
    size_t changed; /* the command that changes next */
};

struct results {
    struct samples whole, one, ratio, durable, derived;
};

/* Every command as it is after it succeeded. */
static void run_commands(struct manifest *m)
{
    for (size_t i = 0; i < m->n_commands; i++) {
        struct manifest_command *c = &m->commands[i];
        char *log_path = made_log_path(i);
        c->has_exit_code = true;
        int rc = manifest_stage_event(m, i, STAGE_EV_START, MADE_WALL_MS + 10);
        rc |= manifest_set(c, &c->log_path, log_path);
        rc |= manifest_stage_event(m, i, STAGE_EV_SUCCEED, MADE_WALL_MS + 12);
        rc |= manifest_set(c, &c->summary, "Command completed with no output.");
        bench_need(rc == 0, "run a command");
        free(log_path);
    }
}

/* Changes command `i`, so that its entry has to be printed anew. */
static void change(struct manifest *m, size_t i)
{
    struct manifest_command *c = &m->commands[i];
    bench_need(manifest_set(c, &c->title, c->id) == 0, "change a command");
}

static double print_ms(struct rig *rig)
{
    int64_t begin = bench_now();
    bench_need(manifest_print(&rig->manifest, &rig->image) == 0, "print a manifest");
    return (double)(bench_now() - begin) / 1e6;
}

static double replace_ms(struct rig *rig, enum atomic_sync sync)
{
    int64_t begin = bench_now();
    bench_need(atomicfile_replace(rig->folder, "manifest.json", rig->image.data, rig->image.len,
                                  0600, sync) == 0,
               "write a manifest");
    return (double)(bench_now() - begin) / 1e6;
}

static void measure_round(struct rig *rig, struct results *to)
{
    for (size_t i = 0; i < rig->manifest.n_commands; i++)
        change(&rig->manifest, i);
    double whole = print_ms(rig);
    change(&rig->manifest, rig->changed);
    rig->changed = (rig->changed + 7919) % rig->manifest.n_commands;
    double one = print_ms(rig);
    samples_add(&to->whole, whole);
    samples_add(&to->one, one);
    samples_add(&to->ratio, whole / one);
    samples_add(&to->durable, replace_ms(rig, ATOMIC_DURABLE));
    samples_add(&to->derived, replace_ms(rig, ATOMIC_DERIVED));
}

/* Bytes of the heap in use; 0 if the allocator is another one that doesn't say (a sanitizer's). */
static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* By how much the heap has grown, not counting `apart`; NAN if that isn't known. */
static double grown(size_t before, size_t apart)
{
    size_t now = heap();
    return now ? (double)now - (double)before - (double)apart : NAN;
}

static void show(size_t n, const char *what, struct samples *s, int decimals)
{
    printf("%8zu  %-36s %6zu  %s\n", n, what, s->n, samples_spread(s, decimals).text);
    samples_release(s);
}

/* Measures `n` commands and puts the bytes of heap for each, without and with the printed entries,
 * and those of the file into the three numbers. */
static void measure(int folder, size_t n, double *plain, double *printed, size_t *file)
{
    struct rig rig = {.image = BUF_INIT, .folder = folder};
    struct results results;
    struct samples *all[] = {&results.whole, &results.one, &results.ratio, &results.durable,
                             &results.derived};
    size_t before = heap();
    made_manifest(&rig.manifest, n);
    run_commands(&rig.manifest);
    *plain = grown(before, 0) / (double)n;
    print_ms(&rig); /* not counted: touches the memory */
    *printed = grown(before, malloc_usable_size(rig.image.data)) / (double)n;
    *file = rig.image.len;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        samples_init(all[i], ROUNDS);
    int64_t end = bench_now() + BUDGET;
    for (int r = 0; r < ROUNDS && (r < FEWEST || bench_now() < end); r++)
        measure_round(&rig, &results);
    show(n, "print, all entries anew, ms", &results.whole, 3);
    show(n, "print, one entry changed, ms", &results.one, 3);
    show(n, "  all anew / one changed", &results.ratio, 1);
    show(n, "replace the file, synced, ms", &results.durable, 3);
    show(n, "replace the file, not synced, ms", &results.derived, 3);
    buf_release(&rig.image);
    manifest_release(&rig.manifest);
}

int main(void)
{
    static const size_t sizes[] = {10, 100, 1000, 10000, 100000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    double plain[SIZES], printed[SIZES];
    size_t file[SIZES];
    char path[256];
    bench_folder(path, sizeof path);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bench_need(folder >= 0, "open the folder");
    bench_title("Printing and writing a manifest");
    printf("%8s  %-36s %6s  median (lowest to highest)\n", "commands", "", "rounds");
    for (size_t i = 0; i < SIZES; i++)
        measure(folder, sizes[i], &plain[i], &printed[i], &file[i]);
    printf("\n%8s  %12s  %s\n", "commands", "file, bytes",
           "heap bytes a command: as data, with its printed entry");
    for (size_t i = 0; i < SIZES; i++)
        printf("%8zu  %12zu  %.0f, %.0f\n", sizes[i], file[i], plain[i], printed[i]);
    close(folder);
    bench_remove(path);
    return 0;
}
