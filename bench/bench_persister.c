/*
 * What recording a run costs: how often the manifest and the heartbeat are written, and how long
 * after a command's end its state is on disk. A real persister writes to a real folder below
 * TMPDIR; commands that take no time are mimicked by their mutations, each waited for as a worker
 * does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "atomicfile.h"
#include "bench.h"
#include "clock.h"
#include "made_manifest.h"
#include "persister.h"

enum { MOST_WORKERS = 4, MOST_ROUNDS = 51, ALONE = 21, CHANGES = 2 /* of a command */ };

/* About as much as the log of a command without output. */
static const char start_lines[] =
    "{\"type\":\"command:start\",\"command\":\"true\",\"timestamp\":\"2026-11-22T17:08:00.123Z\"}\n"
    "{\"type\":\"exec:begin\",\"correlation_id\":\"c5337e13-df39-43b2-a41b-f738b1f5d0e4\","
    "\"attempt\":1,\"command\":\"true\",\"args\":[],\"timestamp\":\"2026-11-22T17:08:00.123Z\"}\n";
static const char handle_id[] = "025cf236-266f-4ded-98a2-32888b74d80c";
static const char end_lines[] =
    "{\"type\":\"exec:end\",\"correlation_id\":\"c5337e13-df39-43b2-a41b-f738b1f5d0e4\","
    "\"attempt\":1,\"exit_code\":0,\"signal\":null,\"status\":\"succeeded\"}\n"
    "{\"type\":\"command:end\",\"exit_code\":0,\"signal\":null,\"duration_ms\":2}\n";

/* When each command's end was pushed, and when it was on disk. All but `pushed_ns` and `on_disk`
 * is the persister thread's until it has been joined. */
static struct {
    int64_t *pushed_ns; /* by command; written by its worker before the push */
    size_t *applied;    /* commands whose end is in the manifest in memory, but not on disk */
    size_t n_applied;
    bool renamed;
    sem_t on_disk; /* posted for each end */
    struct samples *latency_ms;
} ends;

struct run {
    struct journal journal;
    struct persister *persister;
    int64_t deadline; /* no command is started after it */
    bool alone;       /* the next command starts when the last one's end is on disk */
    unsigned workers;
};

struct worker {
    struct run *run;
    struct outbox *outbox;
    unsigned number;
    size_t commands; /* so far */
    uint64_t chunks; /* of the command that runs */
    sem_t applied;
    pthread_t thread;
};

static int note_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    int rc = renameat(from_dir, from, to_dir, to);
    ends.renamed = rc == 0;
    return rc;
}

/* The first fsync after the rename is the folder's: now it would survive a power cut. */
static int note_fsync(int fd)
{
    int rc = fsync(fd);
    if (rc != 0 || !ends.renamed)
        return rc;
    ends.renamed = false;
    int64_t now = bench_now();
    for (size_t i = 0; i < ends.n_applied; i++) {
        samples_add(ends.latency_ms, (double)(now - ends.pushed_ns[ends.applied[i]]) / 1e6);
        sem_post(&ends.on_disk);
    }
    ends.n_applied = 0;
    return rc;
}

static void watch_ends(size_t commands, struct samples *latency_ms)
{
    static const struct atomicfile_calls calls = {.renameat = note_rename, .fsync = note_fsync};
    ends.pushed_ns = bench_alloc(commands * sizeof *ends.pushed_ns);
    ends.applied = bench_alloc(commands * sizeof *ends.applied);
    ends.n_applied = 0;
    ends.renamed = false;
    ends.latency_ms = latency_ms;
    sem_init(&ends.on_disk, 0, 0);
    atomicfile_inject(&calls);
}

static void unwatch_ends(void)
{
    atomicfile_inject(NULL);
    sem_destroy(&ends.on_disk);
    free(ends.pushed_ns);
    free(ends.applied);
}

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0)
        continue;
}

/* Persister thread. */
static void applied(struct mutation *m, int error)
{
    errno = error;
    bench_need(error == 0, "apply a mutation");
    sem_t *waiting = m->context;
    if (m->kind == MUTATION_STAGE_END)
        ends.applied[ends.n_applied++] = m->index;
    mutation_free(m);
    sem_post(waiting);
}

static struct mutation *new_mutation(enum mutation_kind kind, struct journal *j, sem_t *waiting)
{
    struct mutation *m = mutation_new(kind, j);
    bench_need(m != NULL, "get memory");
    m->applied = applied;
    m->context = waiting;
    return m;
}

static void push_and_wait(struct outbox *o, struct mutation *m)
{
    sem_t *waiting = m->context;
    struct record r = {.journal = m->journal, .kind = RECORD_MUTATION, .as.mutation = m};
    r.index = (uint32_t)m->index;
    outbox_push_wait(o, &r);
    wait_for(waiting);
}

static void start_command(struct worker *w, size_t index)
{
    struct mutation *m = new_mutation(MUTATION_STAGE_START, &w->run->journal, &w->applied);
    m->awaited = true;
    m->index = index;
    m->log_path = made_log_path(index);
    m->lines = bench_copy(start_lines);
    m->lines_len = strlen(m->lines);
    snprintf(m->handle_id, sizeof m->handle_id, "%s", handle_id);
    w->chunks = 0;
    push_and_wait(w->outbox, m);
}

static void end_command(struct worker *w, size_t index)
{
    struct mutation *m = new_mutation(MUTATION_STAGE_END, &w->run->journal, &w->applied);
    m->index = index;
    m->event = STAGE_EV_SUCCEED;
    m->has_exit_code = true;
    m->summary = bench_copy("Command completed with no output.");
    m->lines = bench_copy(end_lines);
    m->lines_len = strlen(m->lines);
    snprintf(m->handle_id, sizeof m->handle_id, "%s", handle_id);
    snprintf(m->correlation_id, sizeof m->correlation_id, "c5337e13-df39-43b2-a41b-f738b1f5d0e4");
    m->frames = w->chunks + 2; /* begin and end */
    m->handle_ms = m->now_ms;
    ends.pushed_ns[index] = bench_now();
    push_and_wait(w->outbox, m);
    w->commands++;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct run *run = w->run;
    size_t n = run->journal.manifest.n_commands;
    for (size_t i = w->number; i < n && bench_now() < run->deadline; i += run->workers) {
        start_command(w, i);
        end_command(w, i);
        if (run->alone)
            wait_for(&ends.on_disk);
    }
    return NULL;
}

static void run_open(struct run *run, const char *path, size_t commands, unsigned workers)
{
    struct journal *j = &run->journal;
    *run = (struct run){.deadline = INT64_MAX, .workers = workers};
    bench_need(mkdir(path, 0700) == 0, "make a run folder");
    j->dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    j->grown_fd = -1;
    j->dir.path = bench_copy(path);
    j->dir.rel = bench_copy(MADE_RUN);
    bench_need(j->dir.fd >= 0 && mkdirat(j->dir.fd, "commands", 0700) == 0, "make a run folder");
    made_manifest(&j->manifest, commands);
    bench_need(journal_init(j) == 0, "open the files of a run");
    bench_need(persister_start(&run->persister, workers + 1, 1) == 0, "start the persister");
    sem_t opened;
    sem_init(&opened, 0, 0);
    push_and_wait(persister_outbox(run->persister, 0), new_mutation(MUTATION_OPEN, j, &opened));
    sem_destroy(&opened);
}

static void run_close(struct run *run)
{
    sem_t closed;
    sem_init(&closed, 0, 0);
    struct mutation *m = new_mutation(MUTATION_CLOSE, &run->journal, &closed);
    m->status = RUN_SUCCEEDED;
    push_and_wait(persister_outbox(run->persister, 0), m);
    sem_destroy(&closed);
    persister_stop(run->persister);
}

static void run_remove(struct run *run)
{
    bench_remove(run->journal.dir.path);
    journal_release(&run->journal);
}

static void worker_init(struct worker *w, struct run *run, unsigned number)
{
    *w = (struct worker){.run = run, .number = number};
    w->outbox = persister_outbox(run->persister, number + 1);
    sem_init(&w->applied, 0, 0);
}

/* Runs all commands, or those there is time for; returns how many. */
static size_t run_commands(struct run *run)
{
    struct worker workers[MOST_WORKERS];
    size_t done = 0;
    for (unsigned i = 0; i < run->workers; i++) {
        worker_init(&workers[i], run, i);
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        bench_need(errno == 0, "start a thread");
    }
    for (unsigned i = 0; i < run->workers; i++) {
        pthread_join(workers[i].thread, NULL);
        sem_destroy(&workers[i].applied);
        done += workers[i].commands;
    }
    return done;
}

struct size {
    size_t commands;
    int rounds;
    double seconds; /* for all rounds */
};

struct results {
    struct samples mutations, writes, per_1000, latency_ms;
    unsigned long heartbeats;
};

static void results_init(struct results *r, const struct size *size)
{
    size_t rounds = (size_t)size->rounds;
    samples_init(&r->mutations, rounds);
    samples_init(&r->writes, rounds);
    samples_init(&r->per_1000, rounds);
    samples_init(&r->latency_ms, rounds * size->commands);
    r->heartbeats = 0;
}

static void results_show(struct results *r, size_t commands, unsigned workers)
{
    printf("%8zu %7u %4zu %9.0f  %-20s %-22s %5lu  %8.2f %8.2f %8.2f\n", commands, workers,
           r->writes.n, samples_median(&r->mutations), samples_spread(&r->writes, 0).text,
           samples_spread(&r->per_1000, 0).text, r->heartbeats, samples_median(&r->latency_ms),
           samples_quantile(&r->latency_ms, 0.99), samples_quantile(&r->latency_ms, 1));
    samples_release(&r->mutations);
    samples_release(&r->writes);
    samples_release(&r->per_1000);
    samples_release(&r->latency_ms);
}

static void results_head(void)
{
    printf("%-26s%9s  %-20s %-22s %5s  %26s\n", "", "", "manifest writes", "writes per 1,000",
           "heart", "end to disk, ms");
    printf("%8s %7s %4s %6s%9s  %-20s %-22s %5s  %8s %8s %8s\n", "commands", "workers", "runs", "",
           "mutations", "a run", "mutations", "beats", "median", "99 %", "highest");
}

/* One run of at most `ns` nanoseconds. */
static void measure_run(const char *folder, const struct size *size, unsigned workers, bool alone,
                        int64_t ns, struct results *to)
{
    struct run run;
    char path[320];
    snprintf(path, sizeof path, "%s/run", folder);
    watch_ends(size->commands, &to->latency_ms);
    run_open(&run, path, size->commands, workers);
    run.alone = alone;
    run.deadline = bench_now() + ns;
    double mutations = (double)(CHANGES * run_commands(&run)) + 2; /* open and close */
    run_close(&run);
    unwatch_ends();
    double writes = (double)run.journal.manifest_writes;
    samples_add(&to->mutations, mutations);
    samples_add(&to->writes, writes);
    samples_add(&to->per_1000, writes * 1000 / mutations);
    to->heartbeats += run.journal.heartbeat_writes;
    run_remove(&run);
}

/* Runs with one worker and with four in turn. */
static void measure_size(const char *folder, const struct size *size)
{
    static const unsigned workers[] = {1, MOST_WORKERS};
    size_t ways = size->commands < MOST_WORKERS ? 1 : 2;
    struct results results[2];
    for (size_t w = 0; w < ways; w++)
        results_init(&results[w], size);
    int64_t budget = (int64_t)(size->seconds * 1e9), begin = bench_now(), longest = 0;
    for (int r = 0; r < size->rounds && bench_now() - begin + longest <= budget; r++) {
        int64_t round_begin = bench_now();
        for (size_t w = 0; w < ways; w++)
            measure_run(folder, size, workers[w], false, budget / 2, &results[w]);
        int64_t took = bench_now() - round_begin;
        longest = took > longest ? took : longest;
    }
    for (size_t w = 0; w < ways; w++)
        results_show(&results[w], size->commands, workers[w]);
}

static void measure_alone(const char *folder)
{
    static const struct size size = {.commands = ALONE, .rounds = 1};
    struct results results;
    results_init(&results, &size);
    measure_run(folder, &size, 1, true, 4 * BENCH_SECOND, &results);
    results_show(&results, size.commands, 1);
}

/* A durable replacement of a small file, by which the other times can be judged. */
static void measure_disk(const char *folder)
{
    enum { TRIES = 51 };
    static const char bytes[1024];
    struct samples ms;
    samples_init(&ms, TRIES);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bench_need(fd >= 0, "open the folder");
    for (int64_t end = bench_now() + BENCH_SECOND; ms.n < TRIES && bench_now() < end;) {
        int64_t begin = bench_now();
        bench_need(atomicfile_replace(fd, "probe", bytes, sizeof bytes, 0600, ATOMIC_DURABLE) == 0,
                   "write a file");
        samples_add(&ms, (double)(bench_now() - begin) / 1e6);
    }
    close(fd);
    printf("Replacing a file of 1 KiB durably takes, in ms: %s\n", samples_spread(&ms, 2).text);
    samples_release(&ms);
}

static atomic_int_fast64_t made_ns;

static int64_t made_mono_ns(void)
{
    return atomic_load(&made_ns);
}

static int64_t made_wall_ms(void)
{
    return MADE_WALL_MS + atomic_load(&made_ns) / 1000000;
}

/* Prints a line and waits until its buffer is back. */
static void print_line(struct worker *w, size_t index)
{
    static const char line[] = "{\"type\":\"exec:chunk\",\"stream\":\"stdout\",\"data\":\"x\"}\n";
    struct chunk *c = outbox_take(w->outbox);
    c->begin = 0;
    c->end = sizeof line - 1;
    c->frame = ++w->chunks + 1;
    c->rule = CHUNK_NO_RULE;
    memcpy(c->bytes, line, c->end);
    struct record r = {.journal = &w->run->journal, .kind = RECORD_LINES, .as.chunk = c};
    r.index = (uint32_t)index;
    outbox_push_wait(w->outbox, &r);
    for (;;) {
        uint32_t seen = wake_snapshot(&w->outbox->room);
        c = outbox_take(w->outbox);
        if (c)
            break;
        wake_wait(&w->outbox->room, seen, WAKE_FOREVER);
    }
    outbox_untake(w->outbox, c);
}

/* Ten minutes of the made clock in steps of 0.1 s. Between two lines the persister looks at the
 * clock, so two lines a step show it every moment. */
static void measure_heartbeats(const char *folder, size_t commands)
{
    enum { STEP_MS = 100, STEPS = 600 * 1000 / STEP_MS };
    struct run run;
    struct worker w;
    struct samples latency;
    char path[320];
    snprintf(path, sizeof path, "%s/run", folder);
    clock_inject(made_wall_ms, made_mono_ns);
    samples_init(&latency, commands);
    watch_ends(commands, &latency);
    run_open(&run, path, commands, 1);
    worker_init(&w, &run, 0);
    int64_t begin = bench_now();
    for (size_t i = 0; i < commands; i++) {
        start_command(&w, i);
        for (size_t step = 0; step < STEPS / commands; step++) {
            atomic_fetch_add(&made_ns, STEP_MS * INT64_C(1000000));
            print_line(&w, i);
            print_line(&w, i);
        }
        end_command(&w, i);
    }
    run_close(&run);
    double real_s = (double)(bench_now() - begin) / 1e9;
    unwatch_ends();
    clock_inject(NULL, NULL);
    printf("%8zu %11d %15lu %16lu %12.2f\n", commands, 2 * STEPS, run.journal.heartbeat_writes,
           run.journal.manifest_writes, real_s);
    sem_destroy(&w.applied);
    samples_release(&latency);
    run_remove(&run);
}

int main(void)
{
    static const struct size sizes[] = {
        {1, MOST_ROUNDS, 1}, {10, 21, 2}, {100, 9, 3}, {1000, 3, 8}};
    char folder[256];
    bench_folder(folder, sizeof folder);
    bench_title("Recording a run: commands that take no time, one after the other by each worker");
    measure_disk(folder);
    printf("Writes: median (lowest to highest) of the runs; times: of all ends in all runs.\n\n");
    results_head();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure_size(folder, &sizes[i]);
    printf("\nThe same with nothing after a command's end until it is on disk:\n");
    measure_alone(folder);
    printf("\nTen minutes by an injected clock, commands that print all the time:\n");
    printf("%8s %11s %15s %16s %12s\n", "commands", "log lines", "heartbeats", "manifest writes",
           "real s");
    measure_heartbeats(folder, 1);
    measure_heartbeats(folder, 60);
    bench_remove(folder);
    return 0;
}
