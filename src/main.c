/* The command line: finds the command and hands over. Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "output.h"
#include "reaper.h"

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"start", "run a pipeline", cmd_start},
    {"plan", "show what a start would do", cmd_plan},
    {"resume", "take up an earlier run again", cmd_resume},
    {"status", "show how a run is doing, or follow it", cmd_status},
    {"exec", "run a single command", cmd_exec},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int print_help(void)
{
    printf("codex-orchestrator " CORCH_VERSION
           ": runs pipelines of shell commands and loses nothing of what they print.\n\n"
           "Usage: codex-orchestrator <command> [options]\n\nCommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    printf("  %-8s %s\n", "help", "this text");
    printf("\nOptions of a command: codex-orchestrator <command> --help\n"
           "Version: codex-orchestrator --version\n");
    return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
}

static int unknown(const char *word)
{
    const char *names[COMMANDS + 2] = {NULL};
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    names[COMMANDS] = "help";
    const char *near = nearest_word(word, names);
    output_message("Unknown command: %s%s%s%s", word, near ? "; did you mean " : "",
                   near ? near : "", near ? "?" : ". See: codex-orchestrator help");
    return EXIT_NOT_RUN;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* A file of the run must not get the number of a standard descriptor the caller has closed: what
 * is printed would land in it. What fills the gap refuses to be read or written. */
static int fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (fill_standard_descriptors() != 0) {
        output_message("can't open /dev/null in place of a standard descriptor that is closed: %s",
                       strerror(errno));
        return EXIT_NOT_RUN;
    }
    mallopt(M_ARENA_MAX, 1); /* a heap per thread costs start-up time and memory we don't need */
    signal(SIGCHLD, SIG_DFL); /* whoever ignores it hears of no end */
    reaper_adopt();
    if (argc < 2) {
        print_help();
        return EXIT_NOT_RUN;
    }
    if (is_one_of(argv[1], "help", "--help") || strcmp(argv[1], "-h") == 0)
        return print_help();
    if (is_one_of(argv[1], "--version", "version")) {
        printf("%s\n", CORCH_VERSION);
        return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    }
    return unknown(argv[1]);
}
