/* The privacy guard as a stream: what is held back, where a call stops, what is shared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "guard_run.h"
#include "guard_scan.h"
#include "tmpdir.h"

static void test_guard_stream__finds_a_secret_across_two_scans(void **state)
{
    (void)state;
    static const char secret[] = " token = hunter22 ", hidden[] = " token = [REDACTED] ";
    static char text[3 * SCAN_BYTES];
    struct guard *g = run_guard(true);
    for (size_t before = SCAN_BYTES - sizeof secret; before <= SCAN_BYTES + SCAN_MARGIN; before++) {
        memset(text, '.', sizeof text);
        memcpy(text + before, secret, sizeof secret - 1);
        const struct run_result *r = run_pieces(g, text, sizeof text, 0, sizeof text);
        assert_int_equal(r->len, sizeof text + sizeof hidden - sizeof secret);
        assert_memory_equal(r->out, text, before);
        assert_memory_equal(r->out + before, hidden, sizeof hidden - 1);
        assert_memory_equal(r->out + before + sizeof hidden - 1, text + before + sizeof secret - 1,
                            sizeof text - before - sizeof secret + 1);
        assert_int_equal(r->n_hits, 1);
    }
    guard_free(g);
}

static void test_guard_stream__changes_nothing_in_place_in_shadow_mode(void **state)
{
    (void)state;
    static char text[TEXT_MAX], copy[TEXT_MAX];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 167 + i / 251);
    memcpy(text + 70, "token=\0\0\0\xFF\0\0", 12);
    memcpy(copy, text, sizeof text);
    struct guard *g = run_guard(false);
    struct guard_hit hits[GUARD_HITS];
    size_t put = 0, n_hits = 0;
    struct err e;
    assert_int_equal(guard_feed(g, text, sizeof text, text, &put, hits, &n_hits, &e), sizeof text);
    assert_int_equal(put, sizeof text);
    assert_memory_equal(text, copy, sizeof text);
    assert_int_equal(n_hits, 1);
    assert_int_equal(hits[0].at, 81);
    assert_int_equal(hits[0].rule, GUARD_SENSITIVE_TOKEN);
    guard_free(g);
}

/* Feeds a text in one call; returns how much came out. */
static size_t put_by(struct guard *g, const char *text, char *out)
{
    struct guard_hit hits[GUARD_HITS];
    size_t put = 0, n_hits = 0;
    struct err e;
    assert_int_equal(guard_feed(g, text, strlen(text), out, &put, hits, &n_hits, &e), strlen(text));
    assert_int_equal(n_hits, 0);
    return put;
}

static void test_guard_stream__holds_back_only_what_is_not_decided(void **state)
{
    (void)state;
    static const struct {
        const char *sure, *held;
    } cases[] = {
        {"password: ", ""},
        {"password: ", "12345"},
        {"password: ", "\u20AC\u20AC\u20AC\u20AC\u20AC"},
        {"password: ", "\x80\x80\x80\x80\x80"},
        {"x AKIA", "ABCDEFGHIJ01234"},
        {"-----BEGIN PRIVATE KEY----", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guard *g = run_guard(true);
        char text[64], out[256], last[GUARD_HELD];
        size_t put = 0;
        snprintf(text, sizeof text, "%s%s", cases[i].sure, cases[i].held);
        assert_int_equal(put_by(g, text, out), strlen(cases[i].sure));
        assert_memory_equal(out, text, strlen(cases[i].sure));
        guard_end(g, last, &put);
        assert_int_equal(put, strlen(cases[i].held));
        assert_memory_equal(last, cases[i].held, put);
        guard_end(g, last, &put);
        assert_int_equal(put, 0);
        guard_free(g);
    }
}

/* The most that can come out of one call: held bytes that are released, then every hit longer than
 * what it replaces. */
static void test_guard_stream__stops_when_there_is_no_room_for_another_hit(void **state)
{
    (void)state;
    static const char one[] = "token:abcdef ";
    enum { ONE = sizeof one - 1, COPIES = 40 };
    char text[COPIES * ONE + 1], *out = malloc(guard_room(sizeof text));
    assert_non_null(out);
    text[0] = ' ';
    for (size_t i = 0; i < COPIES; i++)
        memcpy(text + 1 + i * ONE, one, ONE);
    for (int enforce = 0; enforce < 2; enforce++) {
        struct guard *g = run_guard(enforce);
        struct guard_hit hits[GUARD_HITS];
        size_t put = 0, n_hits = 0, sure = put_by(g, "AKIAABCDEFGHIJ01234", out);
        struct err e;
        assert_int_equal(sure, enforce ? 4 : 19);
        long took = guard_feed(g, text, sizeof text, out, &put, hits, &n_hits, &e);
        assert_int_equal(took, GUARD_HITS * ONE); /* up to the 6th character, and the first blank */
        assert_int_equal(n_hits, GUARD_HITS);
        assert_int_equal(put, enforce ? 15 + GUARD_HITS * (ONE + 4) : GUARD_HITS * ONE);
        assert_true(put <= guard_room((size_t)took));
        assert_int_equal(
            guard_feed(g, text + took, sizeof text - (size_t)took, out, &put, hits, &n_hits, &e),
            sizeof text - (size_t)took);
        assert_int_equal(n_hits, COPIES - GUARD_HITS);
        assert_int_equal(put, enforce ? 1 + 8 * (ONE + 4) : 1 + 8 * ONE);
        guard_free(g);
    }
    free(out);
}

static void test_guard_stream__forgets_everything_on_reset(void **state)
{
    (void)state;
    static const char *const begun[] = {"token",          "token: ",    "token: abcde",
                                        "token: abcdefg", "AKIA",       "AKIAABCDEFGHIJ01234",
                                        BEGIN_KEY "MI",   "-----BEGIN "};
    static const char next[] = "abcdef =hunter22 PRIVATE KEY-----";
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        struct guard *g = run_guard(true);
        struct run_result r = {.len = 0};
        run_feed(g, begun[i], strlen(begun[i]), &r);
        run_same(run_pieces(g, next, sizeof next - 1, 0, sizeof next), next, 0);
        guard_free(g);
    }
}

static void test_guard_stream__forgets_what_a_full_call_has_left_on_reset(void **state)
{
    (void)state;
    char text[40 * 13], out[1024];
    for (size_t i = 0; i < 40; i++)
        memcpy(text + i * 13, "token:abcdef ", 13);
    struct guard *g = run_guard(true);
    struct guard_hit hits[GUARD_HITS];
    size_t put = 0, n_hits = 0;
    struct err e;
    assert_in_range(guard_feed(g, text, sizeof text, out, &put, hits, &n_hits, &e), 1,
                    sizeof text - 1);
    memset(text, '.', sizeof text); /* with a token behind what was left, so that marks matter */
    memcpy(text + 436, "token:abcdef ", 13);
    const struct run_result *r = run_pieces(g, text, sizeof text, 0, sizeof text);
    assert_int_equal(r->len, sizeof text + 4);
    assert_memory_equal(r->out, text, 436);
    assert_memory_equal(r->out + 436, "token:[REDACTED] ", 17);
    assert_memory_equal(r->out + 453, text + 449, sizeof text - 449);
    assert_int_equal(r->n_hits, 1);
    guard_free(g);
}

static void test_guard_stream__takes_nothing_from_an_empty_stream(void **state)
{
    (void)state;
    struct guard *g = run_guard(true);
    struct guard_hit hits[GUARD_HITS];
    char out[GUARD_HELD];
    size_t put = 1, n_hits = 1;
    assert_int_equal(guard_feed(g, NULL, 0, NULL, &put, hits, &n_hits, NULL), 0);
    assert_int_equal(put, 0);
    assert_int_equal(n_hits, 0);
    guard_reset(g);
    put = 1;
    guard_end(g, out, &put);
    assert_int_equal(put, 0);
    guard_free(g);
    guard_free(NULL);
}

static void test_guard_stream__stays_failed_after_a_failed_scan(void **state)
{
    (void)state;
    struct guard_scan *s = calloc(1, sizeof *s);
    struct err e = {""};
    assert_non_null(s);
    assert_int_equal(guard_scan_open(s, &e), 0);
    assert_int_equal(guard_scan(s, "token:", 6, &e), 0);
    assert_int_equal(s->len, 6);
    assert_int_equal(s->marks[5], MARK_VALUE);
    s->marks[5] = 0;
    s->marked--;
    struct hs_scratch *scratch = s->scratch;
    s->scratch = NULL; /* Hyperscan refuses this */
    assert_int_equal(guard_scan(s, "token:", 6, &e), -1);
    assert_int_equal(s->len, 0);
    assert_string_equal(e.text, "privacy guard: Hyperscan failed to scan the output");
    s->scratch = scratch;
    assert_int_equal(guard_scan(s, "token:", 6, &e), -1);
    assert_int_equal(s->len, 0);
    guard_scan_reset(s);
    assert_int_equal(guard_scan(s, "token:", 6, &e), 0);
    assert_int_equal(s->marks[5], MARK_VALUE);
    guard_scan_close(s);
    free(s);
}

struct racer {
    pthread_barrier_t *start;
    size_t hits;
};

static void *race(void *argument)
{
    struct racer *me = argument;
    struct guard_hit hits[GUARD_HITS];
    struct guard *g = guard_new(false);
    char text[] = "token=hunter22";
    size_t put = 0;
    pthread_barrier_wait(me->start);
    if (g && guard_feed(g, text, sizeof text, text, &put, hits, &me->hits, NULL) < 0)
        me->hits = 0;
    guard_free(g);
    return NULL;
}

/* Must be the first test that scans. */
static void test_guard_stream__loads_the_rules_once_for_all_workers(void **state)
{
    (void)state;
    enum { RACERS = 4 };
    pthread_barrier_t start;
    pthread_t threads[RACERS];
    struct racer racers[RACERS];
    assert_int_equal(pthread_barrier_init(&start, NULL, RACERS), 0);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(racers[i].hits, 1);
    }
    pthread_barrier_destroy(&start);
}

/* The program runs itself with this argument to feed a guard, twice, and print why it fails. */
#define FEED_ONLY "feed-only"

static int feed_only(void)
{
    struct guard *g = guard_new(true);
    struct guard_hit hits[GUARD_HITS];
    char out[256];
    size_t put = 9, n_hits = 9;
    struct err e[2] = {{""}, {""}};
    if (!g)
        return 2;
    for (size_t i = 0; i < 2; i++) {
        if (guard_feed(g, "token=hunter22", 14, out, &put, hits, &n_hits, &e[i]) != -1 ||
            put != 0 || n_hits != 0)
            return 3;
        guard_reset(g);
    }
    guard_free(g);
    if (strcmp(e[0].text, e[1].text) != 0)
        return 4;
    return puts(e[0].text) < 0 || fflush(stdout) != 0 ? 5 : 0;
}

static void test_guard_stream__lets_nothing_out_without_hyperscan(void **state)
{
    (void)state;
    char folder[64], library[128], command[1200], said[1200] = "";
    tmpdir_make(folder);
    snprintf(library, sizeof library, "%s/libhs_runtime.so.5", folder);
    int fd = open(library, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "LD_LIBRARY_PATH=%s exec '%s' " FEED_ONLY, folder,
             program_invocation_name);
    FILE *p = popen(command, "re");
    assert_non_null(p);
    assert_non_null(fgets(said, sizeof said, p));
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_non_null(strstr(said, "privacy guard: can't load Hyperscan (package libhyperscan5"));
    assert_non_null(strstr(said, library));
    tmpdir_remove(folder);
}

static void set(const char *name, const char *value)
{
    if (value)
        assert_int_equal(setenv(name, value, 1), 0);
    else
        assert_int_equal(unsetenv(name), 0);
}

static void test_guard_stream__takes_its_mode_from_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *mode, *enforce;
        bool wanted;
    } cases[] = {
        {NULL, NULL, false},     {"enforce", NULL, true},   {"1", NULL, true},
        {" True\n", NULL, true}, {"ON", NULL, true},        {"yes", NULL, true},
        {"shadow", NULL, false}, {"enforced", NULL, false}, {"y", NULL, false},
        {NULL, "1", true},       {NULL, "\tYES ", true},    {NULL, "0", false},
        {"shadow", "1", false},  {"", "1", false},          {" ", "1", false},
        {"enforce", "0", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set("CODEX_PRIVACY_GUARD_MODE", cases[i].mode);
        set("CODEX_PRIVACY_GUARD_ENFORCE", cases[i].enforce);
        assert_int_equal(guard_enforced(), cases[i].wanted);
    }
}

static void test_guard_stream__words_decisions_as_the_original(void **state)
{
    (void)state;
    assert_string_equal(guard_rule_name(GUARD_SENSITIVE_TOKEN), "sensitive-token");
    assert_string_equal(guard_rule_name(GUARD_PRIVATE_KEY), "private-key");
    assert_string_equal(guard_reason(GUARD_SENSITIVE_TOKEN, true), "detected high-risk token");
    assert_string_equal(guard_reason(GUARD_PRIVATE_KEY, true), "detected private key material");
    assert_string_equal(guard_reason(GUARD_PRIVATE_KEY, false), "shadow-mode");
    assert_string_equal(guard_action(GUARD_SENSITIVE_TOKEN, true), "redact");
    assert_string_equal(guard_action(GUARD_PRIVATE_KEY, true), "block");
    assert_string_equal(guard_action(GUARD_SENSITIVE_TOKEN, false), "allow");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], FEED_ONLY) == 0)
        return feed_only();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_stream__loads_the_rules_once_for_all_workers),
        cmocka_unit_test(test_guard_stream__finds_a_secret_across_two_scans),
        cmocka_unit_test(test_guard_stream__changes_nothing_in_place_in_shadow_mode),
        cmocka_unit_test(test_guard_stream__holds_back_only_what_is_not_decided),
        cmocka_unit_test(test_guard_stream__stops_when_there_is_no_room_for_another_hit),
        cmocka_unit_test(test_guard_stream__forgets_everything_on_reset),
        cmocka_unit_test(test_guard_stream__forgets_what_a_full_call_has_left_on_reset),
        cmocka_unit_test(test_guard_stream__takes_nothing_from_an_empty_stream),
        cmocka_unit_test(test_guard_stream__stays_failed_after_a_failed_scan),
        cmocka_unit_test(test_guard_stream__lets_nothing_out_without_hyperscan),
        cmocka_unit_test(test_guard_stream__takes_its_mode_from_the_environment),
        cmocka_unit_test(test_guard_stream__words_decisions_as_the_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
