/* A folder of its own for a test, removed with all that is in it. */
#ifndef TESTS_TMPDIR_H
#define TESTS_TMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Makes a new folder (0700) and puts its path into `out`; ends the program if that fails. */
static inline void tmpdir_make(char out[64])
{
    snprintf(out, 64, "/tmp/corch-test-XXXXXX");
    if (!mkdtemp(out)) {
        perror("mkdtemp");
        exit(1);
    }
}

/* `rest` below `folder`, in one of a few static places. */
static inline const char *tmpdir_at(const char *folder, const char *rest)
{
    static char texts[8][512];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "%s/%s", folder, rest);
    return text;
}

static inline int tmpdir_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline void tmpdir_remove(const char *path)
{
    nftw(path, tmpdir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
