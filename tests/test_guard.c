/* The rules of the privacy guard: what it finds, however the stream is cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guard.h"
#include "guard_naive.h"
#include "guard_run.h"

struct example {
    const char *text, *enforced;
    size_t hits, shadow_hits;
};

/* In one piece, cut into two everywhere, and byte by byte. */
static void check_mode(const char *text, bool enforce, const char *out, size_t hits)
{
    struct guard *g = run_guard(enforce);
    size_t n = strlen(text);
    for (size_t cut = 1; cut <= n; cut++)
        run_same(run_pieces(g, text, n, cut, n), out, hits);
    run_same(run_pieces(g, text, n, 0, 1), out, hits);
    guard_free(g);
}

static void check(const struct example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct example *x = &examples[i];
        check_mode(x->text, true, x->enforced, x->hits);
        check_mode(x->text, false, x->text, x->shadow_hits);
    }
}

#define CHECK(examples) check(examples, sizeof(examples) / sizeof *(examples))

static void test_guard__redacts_the_value_of_a_token(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"secret=abcdef", "secret=[REDACTED]", 1, 1},
        {"password = hunter2hunter2\nnext", "password = [REDACTED]\nnext", 1, 1},
        {"apikey:123456 x", "apikey:[REDACTED] x", 1, 1},
        {"api_key:123456\r\n", "api_key:[REDACTED]\r\n", 1, 1},
        {"API-KEY: 123456\t.", "API-KEY: [REDACTED]\t.", 1, 1},
        {"mytoKen=\"123456\", x", "mytoKen=[REDACTED] x", 1, 1},
        {"token \t\r\n\v\f: \n\n 123456", "token \t\r\n\v\f: \n\n [REDACTED]", 1, 1},
        {"token==12345", "token=[REDACTED]", 1, 1},
        {"a token=one-secret, password=another!", "a token=[REDACTED] password=[REDACTED]", 2, 2},
        {"token:äöüßéè.", "token:[REDACTED]", 1, 1},
        {"token:\U0001F600\U0001F600\U0001F600", "token:[REDACTED]", 1, 1},
        {"token:\x80\x81\x82\x83\x84\x85", "token:[REDACTED]", 1, 1},
        {"token:\xE2\x82\xE2\x82\xF0\x9F\xFF\xC2", "token:[REDACTED]", 1, 1},
        {"token" NBSP ":" NBSP "\u3000 \uFEFF123456",
         "token" NBSP ":" NBSP "\u3000 \uFEFF[REDACTED]", 1, 1},
        {"token:1" NBSP "23456", "token:[REDACTED]", 1, 1},
    };
    CHECK(examples);
}

static void test_guard__skips_every_blank_of_the_original(void **state)
{
    (void)state;
    static const char *const blanks[] = {
        " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u00A0", "\u1680", "\u2000",
        "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
        "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000", "\uFEFF"};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        const char *b = blanks[i];
        char text[64], enforced[64];
        snprintf(text, sizeof text, "token%s%s:%s%shunter22", b, b, b, b);
        snprintf(enforced, sizeof enforced, "token%s%s:%s%s[REDACTED]", b, b, b, b);
        check_mode(text, true, enforced, 1);
        check_mode(text, false, text, 1);
    }
    static const char *const others[] = {"\xC2\x85", "\u180E", "\u200B", "\u2060", "\u202E", "x"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[64];
        snprintf(text, sizeof text, "token%s:hunter22", others[i]);
        check_mode(text, true, text, 0);
    }
}

static void test_guard__lets_near_misses_pass(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "token",
                                        "token:",
                                        "secret=12345",
                                        "secret=12345 6",
                                        "token: äöüßé",
                                        "token:\U0001F600\U0001F600.",
                                        "token:     ",
                                        "token 123456",
                                        "tokens: 123456",
                                        "token;123456",
                                        "api__key=123456",
                                        "pass word=123456",
                                        "t oken:123456",
                                        "token:" NBSP "12345",
                                        "token: a: abcdef",
                                        "AKIAABCDEFGHIJ01234",
                                        "AKIAABCDEFGHIJ01234-5",
                                        "akia" AWS_KEY,
                                        "AKIAabcdefghij012345",
                                        "AKIa" AWS_KEY,
                                        "AKIAAKIAAKIAAKIA",
                                        "-----BEGIN PUBLIC KEY-----\nMIIE",
                                        "----BEGIN PRIVATE KEY-----",
                                        END_KEY "\nMIIE",
                                        "-----BEGIN  PRIVATE KEY-----",
                                        "-----BEGIN DSA PRIVATE KEY-----",
                                        "-----BEGIN PRIVATE KEY----",
                                        "\xFF\xFE\xC0 \x80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_mode(texts[i], true, texts[i], 0);
        check_mode(texts[i], false, texts[i], 0);
    }
}

static void test_guard__redacts_aws_keys(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"AKIA" AWS_KEY, "AKIA[REDACTED]", 1, 1},
        {"xAKIA" AWS_KEY "lower", "xAKIA[REDACTED]lower", 1, 1},
        {"AKIA" AWS_KEY "6789 ", "AKIA[REDACTED] ", 1, 1},
        {"AKIA.AKIA" AWS_KEY "\n", "AKIA.AKIA[REDACTED]\n", 1, 1},
        {"AKIAAKIA" AWS_KEY ".", "AKIA[REDACTED].", 1, 1},
        {"AKIA" AWS_KEY "-AKIA" AWS_KEY, "AKIA[REDACTED]-AKIA[REDACTED]", 2, 2},
    };
    CHECK(examples);
}

static void test_guard__blocks_private_keys(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"before\n" BEGIN_KEY "\nMIIE\nabc=\n" END_KEY "\nafter\n",
         "before\n" BEGIN_KEY "[BLOCKED]\nafter\n", 1, 1},
        {"-----begin rsa Private Key-----MIIE\n-----End RSA private key-----.",
         "-----begin rsa Private Key-----[BLOCKED].", 1, 1},
        {"-----BEGIN EC PRIVATE KEY-----\nMIIE\n" END_KEY "-",
         "-----BEGIN EC PRIVATE KEY-----[BLOCKED]-", 1, 1},
        {BEGIN_KEY "\nMIIE\n-----END PUBLIC KEY-----\n", BEGIN_KEY "[BLOCKED]", 1, 1},
        {BEGIN_KEY, BEGIN_KEY "[BLOCKED]", 1, 1},
        {BEGIN_KEY BEGIN_KEY "\n" END_KEY "\n" BEGIN_KEY "x",
         BEGIN_KEY "[BLOCKED]\n" BEGIN_KEY "[BLOCKED]", 2, 3},
        {END_KEY BEGIN_KEY "MIIE" END_KEY "-" END_KEY, END_KEY BEGIN_KEY "[BLOCKED]-" END_KEY, 1,
         1},
    };
    CHECK(examples);
}

static void test_guard__leaks_nothing_where_matches_overlap(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"token:token: hunter22", "token:[REDACTED] [REDACTED]", 2, 2},
        {"token:token:hunter22 x", "token:[REDACTED] x", 1, 1},
        {"token: token : hunter22", "token: token : [REDACTED]", 1, 1},
        {"token:abcdefpassword =hunter22", "token:[REDACTED] =[REDACTED]", 2, 2},
        {"token:token:" NBSP " hunter22", "token:[REDACTED] [REDACTED]", 2, 2},
        {"token:AKIA" AWS_KEY ".x y", "token:[REDACTED] y", 1, 1},
        {"AKIA" AWS_KEY "TOKEN:hunter22", "AKIA[REDACTED]:[REDACTED]", 2, 2},
        {"token: -----BEGIN RSA PRIVATE KEY-----\nMIIE",
         "token: [REDACTED] RSA PRIVATE KEY-----[BLOCKED]", 2, 2},
        {"token: " BEGIN_KEY "\nMIIE", "token: [REDACTED] PRIVATE KEY-----[BLOCKED]", 2, 2},
        {BEGIN_KEY "\ntoken: hunter22\nAKIA" AWS_KEY "\n" END_KEY "\n", BEGIN_KEY "[BLOCKED]\n", 1,
         3},
        {BEGIN_KEY "\ntoken:" END_KEY " hunter22", BEGIN_KEY "[BLOCKED] hunter22", 1, 2},
    };
    CHECK(examples);
}

static void test_guard__says_where_a_hit_is(void **state)
{
    (void)state;
    static const char text[] = "token: abcdefgh AKIA" AWS_KEY " " BEGIN_KEY "x";
    static const size_t shadow_at[] = {12, 35, 63}, enforce_at[] = {7, 22, 60};
    for (int enforce = 0; enforce < 2; enforce++) {
        struct guard *g = run_guard(enforce);
        for (size_t piece = 1; piece < sizeof text; piece++) {
            const struct run_result *r = run_pieces(g, text, sizeof text - 1, 0, piece);
            assert_int_equal(r->n_hits, 3);
            for (size_t i = 0; i < 3; i++) {
                assert_int_equal(r->hits[i].at, enforce ? enforce_at[i] : shadow_at[i]);
                assert_int_equal(r->hits[i].rule,
                                 i == 2 ? GUARD_PRIVATE_KEY : GUARD_SENSITIVE_TOKEN);
            }
        }
        guard_free(g);
    }
}

/* Fragments of the rules, and what may break them. "" is a NUL byte. */
static const char *const fragments[] = {"token",
                                        "TOKEN",
                                        "secret",
                                        "PassWord",
                                        "api",
                                        "key",
                                        "_",
                                        "-",
                                        "api-key=",
                                        "token:",
                                        "token:",
                                        "password =",
                                        ":",
                                        "=",
                                        " ",
                                        " ",
                                        "\n",
                                        "\t",
                                        NBSP,
                                        "\u2003",
                                        "\u3000",
                                        "\xC2",
                                        "a",
                                        "abc",
                                        "hunter",
                                        "é",
                                        "\u20AC",
                                        "\U0001F511",
                                        "\x80",
                                        "\xE2\x80",
                                        "",
                                        "AKIA",
                                        "AKI",
                                        "AKIAABCDEFGHIJ012345",
                                        "ABCDEFG",
                                        "0123456789",
                                        "A",
                                        BEGIN_KEY,
                                        BEGIN_KEY,
                                        "-----BEGIN EC ",
                                        "-----begin rsa private key-----",
                                        "PRIVATE KEY-----",
                                        "-----",
                                        END_KEY,
                                        "END PRIVATE KEY-----",
                                        "-----END RSA PRIVATE KEY-----",
                                        "MIIE"};

static uint64_t random_state;

static size_t below(size_t limit) /* xorshift64 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 16) % limit;
}

static size_t random_text(char *text, size_t size)
{
    size_t n = 0;
    for (size_t count = below(40); count > 0; count--) {
        const char *fragment = fragments[below(sizeof fragments / sizeof *fragments)];
        size_t length = *fragment ? strlen(fragment) : 1;
        if (n + length > size)
            break;
        memcpy(text + n, fragment, length);
        n += length;
    }
    return n;
}

static struct run_result *run_cut_at_random(struct guard *g, const char *text, size_t n)
{
    static struct run_result r;
    size_t longest = 1 + below(n + 1);
    r.len = r.n_hits = 0;
    guard_reset(g);
    for (size_t at = 0; at < n;) {
        size_t now = 1 + below(longest);
        now = now < n - at ? now : n - at;
        run_feed(g, text + at, now, &r);
        at += now;
    }
    run_end(g, &r);
    return &r;
}

static void test_guard__agrees_with_the_rules_on_random_text(void **state)
{
    (void)state;
    const char *asked = getenv("GUARD_SEED");
    random_state = asked ? strtoull(asked, NULL, 10) : (uint64_t)time(NULL) * 2654435761u;
    print_message("GUARD_SEED=%llu\n", (unsigned long long)random_state);
    struct guard *guards[] = {run_guard(false), run_guard(true)};
    char text[1024];
    for (int round = 0; round < 4000; round++) {
        size_t n = random_text(text, sizeof text);
        for (int enforce = 0; enforce < 2; enforce++) {
            struct naive wanted;
            naive_guard(&wanted, text, n, enforce);
            const struct run_result *r = run_cut_at_random(guards[enforce], text, n);
            assert_int_equal(r->len, wanted.len);
            assert_memory_equal(r->out, wanted.out, wanted.len);
            assert_int_equal(r->n_hits, wanted.n_hits);
            for (size_t i = 0; i < r->n_hits; i++) {
                assert_int_equal(r->hits[i].at, wanted.hits[i].at);
                assert_int_equal(r->hits[i].rule, wanted.hits[i].rule);
            }
        }
    }
    guard_free(guards[0]);
    guard_free(guards[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard__redacts_the_value_of_a_token),
        cmocka_unit_test(test_guard__skips_every_blank_of_the_original),
        cmocka_unit_test(test_guard__lets_near_misses_pass),
        cmocka_unit_test(test_guard__redacts_aws_keys),
        cmocka_unit_test(test_guard__blocks_private_keys),
        cmocka_unit_test(test_guard__leaks_nothing_where_matches_overlap),
        cmocka_unit_test(test_guard__says_where_a_hit_is),
        cmocka_unit_test(test_guard__agrees_with_the_rules_on_random_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
