/*
 * misbehave BEHAVIOUR [ARGUMENT…]: a command that does what commands should not, on demand.
 * Everything it prints is written at once, without a buffer.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "made_output.h"

static void put(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);
        if (wrote < 0 && errno != EINTR)
            exit(99);
        if (wrote > 0) {
            bytes += wrote;
            n -= (size_t)wrote;
        }
    }
}

static void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text ? text : "", &end, 10);
    if (!text || end == text || *end)
        exit(98);
    return value;
}

/* Until a signal ends us; in the end our own, so that a test that fails leaves nobody for ever. */
static int live_on(void)
{
    alarm(600);
    while (pause() < 0)
        continue;
    return 97;
}

/* lines N: N numbered lines, one write each. */
static int lines(char **args)
{
    char line[MADE_LINE];
    unsigned long n = number(args[0]);
    for (unsigned long i = 1; i <= n; i++) {
        made_line(line, i);
        put(1, line, sizeof line);
    }
    return 0;
}

/* bytes N SEED: N pseudo-random bytes. */
static int bytes(char **args)
{
    char block[4000];
    unsigned long left = number(args[0]);
    uint64_t state = number(args[1]);
    while (left > 0) {
        size_t n = left < sizeof block ? left : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = made_byte(&state);
        put(1, block, n);
        left -= n;
    }
    return 0;
}

/* both N: N lines on stdout and on stderr, by turns. */
static int both(char **args)
{
    char line[32];
    unsigned long n = number(args[0]);
    for (unsigned long i = 1; i <= n; i++) {
        snprintf(line, sizeof line, "out %lu\n", i);
        say(1, line);
        snprintf(line, sizeof line, "err %lu\n", i);
        say(2, line);
    }
    return 0;
}

/* close-stdout: goes on working after it has closed its stdout. */
static int close_stdout(char **args)
{
    (void)args;
    say(1, "before\n");
    close(1);
    say(2, "still at work\n");
    return 3;
}

/* background SECONDS: leaves a child behind that holds stdout and stderr open. */
static int background(char **args)
{
    unsigned long seconds = number(args[0]);
    int ready[2];
    char c;
    if (pipe(ready) != 0)
        return 97;
    pid_t child = fork();
    if (child == 0) {
        char line[40];
        snprintf(line, sizeof line, "background %ld\n", (long)getpid());
        say(1, line);
        put(ready[1], "", 1);
        sleep((unsigned)seconds);
        return 0;
    }
    return child > 0 && read(ready[0], &c, 1) == 1 ? 0 : 97;
}

/* hold: closes its output and lives until it is killed. */
static int hold(char **args)
{
    (void)args;
    close(1);
    close(2);
    return live_on();
}

/* ignore-term: only SIGKILL ends it. */
static int ignore_term(char **args)
{
    (void)args;
    signal(SIGTERM, SIG_IGN);
    say(1, "ready\n");
    return live_on();
}

/* signals: which signals are blocked or ignored. */
static int signals(char **args)
{
    (void)args;
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0)
            say(1, line);
    }
    return f ? 0 : 97;
}

/* slow-bytes TEXT: one byte at a time, with pauses longer than a chunk waits for its next byte. */
static int slow_bytes(char **args)
{
    const struct timespec pause_time = {.tv_nsec = 15000000};
    for (const char *p = args[0]; p && *p; p++) {
        put(1, p, 1);
        nanosleep(&pause_time, NULL);
    }
    return 0;
}

/* fds: the descriptors it was given beyond stdin, stdout and stderr. */
static int fds(char **args)
{
    (void)args;
    char line[16];
    DIR *d = opendir("/proc/self/fd");
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(d)) {
            snprintf(line, sizeof line, "%d\n", fd);
            say(1, line);
        }
    }
    return d ? 0 : 97;
}

static int silent(char **args)
{
    (void)args;
    return 0;
}

static int exit_with(char **args)
{
    return (int)number(args[0]);
}

static int kill_itself(char **args)
{
    raise((int)number(args[0]));
    return 97;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **args);
    } behaviours[] = {{"lines", lines},
                      {"bytes", bytes},
                      {"both", both},
                      {"close-stdout", close_stdout},
                      {"background", background},
                      {"hold", hold},
                      {"ignore-term", ignore_term},
                      {"signals", signals},
                      {"slow-bytes", slow_bytes},
                      {"fds", fds},
                      {"silent", silent},
                      {"exit", exit_with},
                      {"kill", kill_itself}};
    for (size_t i = 0; argc > 1 && i < sizeof behaviours / sizeof *behaviours; i++) {
        if (strcmp(argv[1], behaviours[i].name) == 0)
            return behaviours[i].run(argv + 2);
    }
    fprintf(stderr, "misbehave: unknown behaviour\n");
    return 98;
}
