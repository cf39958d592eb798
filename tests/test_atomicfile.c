/* Replacing a file: whole for every reader, and untouched when a step fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "atomicfile.h"
#include "ids.h"
#include "tmpdir.h"

#define TMP_BYTES 8 /* random ones in a temporary name */
#define WRITERS 8
#define ROUNDS 200
#define UNIT 1000 /* writer k writes k * UNIT times the letter 'a' + k */

struct folder {
    char path[64];
    int fd;
};

static atomic_int draws;      /* of random bytes, ID_RANDOM_BYTES each */
static atomic_int zero_names; /* that many names made of what is drawn next are zeros */

/* Stands before the C library's: lets a test know a temporary name in advance. */
ssize_t getrandom(void *out, size_t n, unsigned flags)
{
    char *bytes = out;
    ssize_t got = syscall(SYS_getrandom, out, n, flags);
    atomic_fetch_add(&draws, 1);
    for (ssize_t i = 0; i + TMP_BYTES <= got && atomic_load(&zero_names) > 0; i += TMP_BYTES) {
        memset(bytes + i, 0, TMP_BYTES);
        atomic_fetch_sub(&zero_names, 1);
    }
    return got;
}

/* Uses up what this thread has drawn. */
static void make_next_names_zero(int n)
{
    char hex[3];
    atomic_store(&draws, 0);
    while (atomic_load(&draws) == 0)
        id_hex(hex, 2);
    for (size_t i = 1; i < ID_RANDOM_BYTES; i++)
        id_hex(hex, 2);
    atomic_store(&zero_names, n);
}

static int setup(void **state)
{
    struct folder *f = malloc(sizeof *f);
    assert_non_null(f);
    tmpdir_make(f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->fd >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    atomicfile_inject(NULL);
    atomic_store(&zero_names, 0);
    close(f->fd);
    tmpdir_remove(f->path);
    free(f);
    return 0;
}

static int replace(const struct folder *f, const char *name, const char *text)
{
    return atomicfile_replace(f->fd, name, text, strlen(text), 0600, ATOMIC_DURABLE);
}

static ssize_t slurp(const struct folder *f, const char *name, char *out, size_t size)
{
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t got = 0;
    ssize_t n;
    while ((n = read(fd, out + got, size - got)) > 0)
        got += (size_t)n;
    close(fd);
    return n < 0 ? -1 : (ssize_t)got;
}

static void assert_content(const struct folder *f, const char *name, const char *expected)
{
    char text[256];
    ssize_t n = slurp(f, name, text, sizeof text - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static size_t entries(const struct folder *f)
{
    DIR *d = opendir(f->path);
    assert_non_null(d);
    size_t n = 0;
    for (struct dirent *at; (at = readdir(d));)
        n += strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* ---- injected calls ---- */

static char steps[16]; /* w: write, f: fsync of a file, r: rename, d: fsync of a folder */

static void step(char c)
{
    size_t n = strlen(steps);
    if (n + 1 < sizeof steps) {
        steps[n] = c;
        steps[n + 1] = '\0';
    }
}

static char fsync_step(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return S_ISDIR(st.st_mode) ? 'd' : 'f';
}

static ssize_t noted_write(int fd, const void *bytes, size_t n)
{
    step('w');
    return write(fd, bytes, n);
}

static int noted_fsync(int fd)
{
    step(fsync_step(fd));
    return 0;
}

static int noted_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    step('r');
    return renameat(from_dir, from, to_dir, to);
}

static const struct atomicfile_calls noted = {noted_write, noted_fsync, noted_renameat};

static bool wrote_some;

/* Takes three bytes, then the disk is full. */
static ssize_t full_write(int fd, const void *bytes, size_t n)
{
    if (!wrote_some) {
        wrote_some = true;
        return write(fd, bytes, n < 3 ? n : 3);
    }
    errno = ENOSPC;
    return -1;
}

static unsigned writes;

/* Interrupted every second time, else one byte, two, three, one … */
static ssize_t hesitant_write(int fd, const void *bytes, size_t n)
{
    if (writes++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    size_t part = 1 + writes / 2 % 3;
    return write(fd, bytes, n < part ? n : part);
}

static ssize_t stuck_write(int fd, const void *bytes, size_t n)
{
    (void)fd, (void)bytes, (void)n;
    return 0;
}

static int fsync_errno;
static char fsync_fails_for; /* 'f' or 'd' */

static int failing_fsync(int fd)
{
    if (fsync_step(fd) != fsync_fails_for)
        return 0;
    errno = fsync_errno;
    return -1;
}

static bool interrupted;

static int interrupted_fsync(int fd)
{
    if (interrupted)
        return noted_fsync(fd);
    interrupted = true;
    errno = EINTR;
    return -1;
}

static int failing_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    (void)from_dir, (void)from, (void)to_dir, (void)to;
    errno = EDQUOT;
    return -1;
}

/* With `calls` the replacement fails with `expected`, and nothing has changed. */
static void assert_keeps_old(const struct folder *f, const struct atomicfile_calls *calls,
                             int expected)
{
    assert_int_equal(replace(f, "m.json", "old"), 0);
    unsigned long before = atomicfile_count();
    atomicfile_inject(calls);
    errno = 0;
    int result = replace(f, "m.json", "the new document");
    int error = errno;
    atomicfile_inject(NULL);
    assert_int_equal(result, -1);
    assert_int_equal(error, expected);
    assert_content(f, "m.json", "old");
    assert_int_equal(entries(f), 1);
    assert_int_equal(atomicfile_count(), before);
}

/* ---- tests ---- */

static void test_atomicfile__creates_and_replaces(void **state)
{
    struct folder *f = *state;
    unsigned long before = atomicfile_count();
    assert_int_equal(replace(f, "m.json", "first, and long"), 0);
    assert_content(f, "m.json", "first, and long");
    assert_int_equal(replace(f, "m.json", "second"), 0);
    assert_content(f, "m.json", "second");
    assert_int_equal(replace(f, "m.json", ""), 0);
    assert_content(f, "m.json", "");
    assert_int_equal(entries(f), 1);
    assert_int_equal(atomicfile_count() - before, 3);
}

static void test_atomicfile__syncs_file_before_rename_and_folder_after(void **state)
{
    struct folder *f = *state;
    steps[0] = '\0';
    atomicfile_inject(&noted);
    assert_int_equal(replace(f, "m.json", "x"), 0);
    assert_string_equal(steps, "wfrd");
}

static void test_atomicfile__does_not_sync_derived_files(void **state)
{
    struct folder *f = *state;
    steps[0] = '\0';
    atomicfile_inject(&noted);
    assert_int_equal(atomicfile_replace(f->fd, "m.json", "x", 1, 0600, ATOMIC_DERIVED), 0);
    assert_string_equal(steps, "wr");
    assert_content(f, "m.json", "x");
}

static void test_atomicfile__keeps_old_file_on_enospc(void **state)
{
    wrote_some = false;
    assert_keeps_old(*state, &(struct atomicfile_calls){.write = full_write}, ENOSPC);
    assert_true(wrote_some);
}

static void test_atomicfile__keeps_old_file_on_eio_of_fsync(void **state)
{
    fsync_errno = EIO;
    fsync_fails_for = 'f';
    assert_keeps_old(*state, &(struct atomicfile_calls){.fsync = failing_fsync}, EIO);
}

static void test_atomicfile__keeps_old_file_when_rename_fails(void **state)
{
    assert_keeps_old(*state, &(struct atomicfile_calls){.renameat = failing_renameat}, EDQUOT);
}

static void test_atomicfile__gives_up_on_a_write_without_progress(void **state)
{
    assert_keeps_old(*state, &(struct atomicfile_calls){.write = stuck_write}, EIO);
}

static void test_atomicfile__reports_a_folder_that_does_not_sync(void **state)
{
    struct folder *f = *state;
    assert_int_equal(replace(f, "m.json", "old"), 0);
    fsync_errno = EIO;
    fsync_fails_for = 'd';
    atomicfile_inject(&(struct atomicfile_calls){.fsync = failing_fsync});
    assert_int_equal(replace(f, "m.json", "new"), -1);
    assert_int_equal(errno, EIO);
    assert_content(f, "m.json", "new");
    assert_int_equal(entries(f), 1);
}

static void test_atomicfile__accepts_file_systems_that_cannot_sync_folders(void **state)
{
    fsync_errno = EINVAL;
    fsync_fails_for = 'd';
    atomicfile_inject(&(struct atomicfile_calls){.fsync = failing_fsync});
    assert_int_equal(replace(*state, "m.json", "new"), 0);
    assert_content(*state, "m.json", "new");
}

static void test_atomicfile__writes_all_despite_short_and_interrupted_writes(void **state)
{
    const char *text = "the quick brown fox jumps over the lazy dog";
    writes = 0;
    atomicfile_inject(&(struct atomicfile_calls){.write = hesitant_write});
    assert_int_equal(replace(*state, "m.json", text), 0);
    assert_content(*state, "m.json", text);
    assert_true(writes > strlen(text) / 3 * 2);
}

static void test_atomicfile__repeats_an_interrupted_fsync(void **state)
{
    interrupted = false;
    steps[0] = '\0';
    atomicfile_inject(&(struct atomicfile_calls){.fsync = interrupted_fsync});
    assert_int_equal(replace(*state, "m.json", "new"), 0);
    assert_string_equal(steps, "fd");
}

static void test_atomicfile__replaces_a_planted_link_without_following_it(void **state)
{
    struct folder *f = *state;
    struct stat st;
    assert_int_equal(replace(f, "victim", "precious"), 0);
    assert_int_equal(symlinkat("victim", f->fd, "m.json"), 0);
    assert_int_equal(replace(f, "m.json", "new"), 0);
    assert_content(f, "victim", "precious");
    assert_content(f, "m.json", "new");
    assert_int_equal(fstatat(f->fd, "m.json", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void test_atomicfile__sets_the_mode_regardless_of_umask(void **state)
{
    static const mode_t modes[] = {0600, 0644, 0666};
    struct folder *f = *state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat st;
        mode_t before = umask(0777);
        int result = atomicfile_replace(f->fd, "m.json", "x", 1, modes[i], ATOMIC_DERIVED);
        umask(before);
        assert_int_equal(result, 0);
        assert_int_equal(fstatat(f->fd, "m.json", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
    }
}

static void test_atomicfile__draws_another_name_when_one_is_taken(void **state)
{
    struct folder *f = *state;
    assert_int_equal(symlinkat("victim", f->fd, ".m.json.0000000000000000.tmp"), 0);
    make_next_names_zero(2);
    assert_int_equal(replace(f, "m.json", "new"), 0);
    assert_int_equal(atomic_load(&zero_names), 0);
    assert_content(f, "m.json", "new");
    assert_int_equal(entries(f), 2);
    assert_int_equal(faccessat(f->fd, "victim", F_OK, 0), -1);
}

static void test_atomicfile__leaves_a_taken_name_alone_and_gives_up(void **state)
{
    struct folder *f = *state;
    assert_int_equal(replace(f, "m.json", "old"), 0);
    assert_int_equal(replace(f, ".m.json.0000000000000000.tmp", "of somebody else"), 0);
    make_next_names_zero(1000);
    assert_int_equal(replace(f, "m.json", "new"), -1);
    assert_int_equal(errno, EEXIST);
    assert_content(f, "m.json", "old");
    assert_content(f, ".m.json.0000000000000000.tmp", "of somebody else");
}

static void test_atomicfile__refuses_a_name_too_long_for_a_temporary(void **state)
{
    struct folder *f = *state;
    char name[241];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(replace(f, name, "x"), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(entries(f), 0);
}

static void test_atomicfile__does_not_replace_a_folder(void **state)
{
    struct folder *f = *state;
    assert_int_equal(mkdirat(f->fd, "m.json", 0700), 0);
    assert_int_equal(replace(f, "m.json", "x"), -1);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(entries(f), 1);
}

struct writer {
    const struct folder *folder;
    int number;
    int failures;
};

static void *write_often(void *arg)
{
    struct writer *w = arg;
    static const size_t unit = UNIT;
    char text[UNIT * WRITERS];
    memset(text, 'a' + w->number, sizeof text);
    for (int i = 0; i < ROUNDS; i++) {
        enum atomic_sync sync = i % 20 == 0 ? ATOMIC_DURABLE : ATOMIC_DERIVED;
        if (atomicfile_replace(w->folder->fd, "m.json", text, unit * (size_t)w->number, 0600,
                               sync) < 0)
            w->failures++;
    }
    return NULL;
}

static bool whole(const char *text, ssize_t n)
{
    if (n <= 0 || n > UNIT * WRITERS || text[0] < 'a' || n != (text[0] - 'a') * UNIT)
        return false;
    for (ssize_t i = 1; i < n; i++) {
        if (text[i] != text[0])
            return false;
    }
    return true;
}

struct reader {
    const struct folder *folder;
    atomic_bool stop;
    unsigned long reads, torn;
};

static void *read_often(void *arg)
{
    struct reader *r = arg;
    char text[UNIT * WRITERS + 1];
    do {
        ssize_t n = slurp(r->folder, "m.json", text, sizeof text);
        r->reads++;
        r->torn += !whole(text, n);
    } while (!atomic_load(&r->stop));
    return NULL;
}

static void test_atomicfile__is_whole_for_readers_under_writes_at_the_same_instant(void **state)
{
    struct folder *f = *state;
    unsigned long before = atomicfile_count();
    struct writer writers[WRITERS];
    struct reader reader = {f, false, 0, 0};
    pthread_t threads[WRITERS], reading;
    writers[0] = (struct writer){f, 1, 0};
    write_often(&writers[0]); /* so that the reader finds a file */
    assert_int_equal(pthread_create(&reading, NULL, read_often, &reader), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){f, i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&reader.stop, true);
    pthread_join(reading, NULL);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(writers[i].failures, 0);
    assert_true(reader.reads > 0);
    assert_int_equal(reader.torn, 0);
    assert_int_equal(entries(f), 1);
    assert_int_equal(atomicfile_count() - before, (WRITERS + 1) * ROUNDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_atomicfile__creates_and_replaces),
        TEST(test_atomicfile__syncs_file_before_rename_and_folder_after),
        TEST(test_atomicfile__does_not_sync_derived_files),
        TEST(test_atomicfile__keeps_old_file_on_enospc),
        TEST(test_atomicfile__keeps_old_file_on_eio_of_fsync),
        TEST(test_atomicfile__keeps_old_file_when_rename_fails),
        TEST(test_atomicfile__gives_up_on_a_write_without_progress),
        TEST(test_atomicfile__reports_a_folder_that_does_not_sync),
        TEST(test_atomicfile__accepts_file_systems_that_cannot_sync_folders),
        TEST(test_atomicfile__writes_all_despite_short_and_interrupted_writes),
        TEST(test_atomicfile__repeats_an_interrupted_fsync),
        TEST(test_atomicfile__replaces_a_planted_link_without_following_it),
        TEST(test_atomicfile__sets_the_mode_regardless_of_umask),
        TEST(test_atomicfile__draws_another_name_when_one_is_taken),
        TEST(test_atomicfile__leaves_a_taken_name_alone_and_gives_up),
        TEST(test_atomicfile__refuses_a_name_too_long_for_a_temporary),
        TEST(test_atomicfile__does_not_replace_a_folder),
        TEST(test_atomicfile__is_whole_for_readers_under_writes_at_the_same_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
