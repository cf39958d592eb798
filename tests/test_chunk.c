/* From what a pipe gives to the lines of a log: nothing is lost, no character is split. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "buf.h"
#include "chunk.h"
#include "clock.h"
#include "json.h"
#include "ndjson.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define WHEN "2026-11-22T17:08:00.123Z"

static struct stream stream;
static struct chunk chunk, mirror;

/* What a reader of the log gets. */
struct reader {
    struct chunk_context context;
    struct buf data, bytes; /* `data` of all lines; the exact bytes they stand for */
    unsigned lines, binary;
    uint64_t sequence; /* of the last line */
};

static int64_t when(void)
{
    return clock_parse_iso(WHEN);
}

static void reader_init(struct reader *r)
{
    *r = (struct reader){.context = {.correlation_id = "0b5e7c1a-1111-4222-8333-944445555666",
                                     .attempt = 1,
                                     .index = 3}};
    buf_addstr(&r->data, "");
    buf_addstr(&r->bytes, "");
    stream_reset(&stream, "stdout", NULL, false);
}

static void reader_release(struct reader *r)
{
    buf_release(&r->data);
    buf_release(&r->bytes);
}

/* Appends the raw inside of member `key` of a line to `out`, undone; false: no such member. */
static bool member(const struct chunk *c, const char *key, bool base64, struct buf *out)
{
    const char *line = c->bytes + c->begin, *end = c->bytes + c->end;
    const char *at = memmem(line, c->end - c->begin, key, strlen(key));
    if (!at)
        return false;
    at += strlen(key);
    const char *quote = at;
    while (quote < end && *quote != '"')
        quote += *quote == '\\' ? 2 : 1;
    assert_true(quote < end);
    char *room = buf_room(out, (size_t)(quote - at) + 1);
    size_t n = base64 ? ndjson_unbase64(room, at, (size_t)(quote - at))
                      : ndjson_unescape(room, at, (size_t)(quote - at));
    assert_true(n != (size_t)-1);
    out->len += n;
    return true;
}

/* One whole line, parsed; the caller deletes it. */
static cJSON *parse_line(const struct chunk *c, const char *type)
{
    assert_true(c->begin < c->end && c->end <= CHUNK_BYTES);
    const char *line = c->bytes + c->begin;
    size_t n = c->end - c->begin;
    assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
    cJSON *doc = cJSON_ParseWithLength(line, n - 1);
    assert_non_null(doc);
    assert_string_equal(json_get_str(doc, "type"), type);
    assert_string_equal(json_get_str(doc, "timestamp"), WHEN);
    return doc;
}

/* The mirror of a chunk line has the same data, and nothing that a chunk line alone has. */
static void check_mirror(const struct reader *r, size_t n, const char *data, size_t len)
{
    struct buf copy = BUF_INIT;
    stream_mirror(&stream, n, &r->context, when(), &mirror);
    cJSON *doc = parse_line(&mirror, "command:stdout");
    assert_int_equal(json_get_int(doc, "index", -1), (int64_t)r->context.index);
    assert_int_equal(cJSON_GetArraySize(doc), 4);
    assert_true(member(&mirror, ",\"data\":\"", false, &copy));
    assert_int_equal(copy.len, len);
    assert_memory_equal(copy.data, data, len);
    cJSON_Delete(doc);
    buf_release(&copy);
}

static void check_line(struct reader *r, size_t n)
{
    cJSON *doc = parse_line(&chunk, "exec:chunk");
    size_t data = r->data.len, bytes = r->bytes.len;
    assert_true(member(&chunk, ",\"data\":\"", false, &r->data));
    bool binary = member(&chunk, ",\"data_base64\":\"", true, &r->bytes);
    if (!binary)
        buf_add(&r->bytes, r->data.data + data, r->data.len - data);
    assert_int_equal(r->bytes.len - bytes, n);
    assert_memory_equal(r->bytes.data + bytes, stream.raw, n);
    assert_string_equal(json_get_str(doc, "correlation_id"), r->context.correlation_id);
    assert_int_equal(json_get_int(doc, "attempt", -1), r->context.attempt);
    assert_string_equal(json_get_str(doc, "stream"), "stdout");
    assert_int_equal(json_get_int(doc, "sequence", -1), (int64_t)r->sequence + 1);
    assert_int_equal(json_get_int(doc, "bytes", -1), (int64_t)n);
    assert_int_equal(json_get_int(doc, "index", -1), (int64_t)r->context.index);
    assert_int_equal(cJSON_GetArraySize(doc), binary ? 10 : 9);
    r->lines++;
    r->binary += binary;
    r->sequence++;
    cJSON_Delete(doc);
    check_mirror(r, n, r->data.data + data, r->data.len - data);
}

/* Encodes all that can be encoded. */
static void drain(struct reader *r, bool last)
{
    size_t n;
    while ((n = stream_encode(&stream, last, &r->context, when(), &chunk)) > 0) {
        check_line(r, n);
        stream_consume(&stream, n);
    }
    assert_int_equal(r->context.sequence, r->sequence);
    assert_true(stream.len <= (last ? 0 : 3));
}

/* Sends bytes through a pipe, in at most two reads, and drains after each. */
static void feed(struct reader *r, const int fds[2], const char *bytes, size_t n)
{
    assert_int_equal(write(fds[1], bytes, n), (ssize_t)n);
    while (n > 0) {
        bool whole;
        assert_false(stream_full(&stream));
        ssize_t got = stream_read(&stream, fds[0], 1, &whole);
        assert_true(got > 0);
        n -= (size_t)got;
        drain(r, false);
    }
}

/* The data a reader gets is what a UTF-8 decoder makes of the whole, wherever it was cut. */
static void check_all(const struct reader *r, const char *in, size_t n)
{
    char *escaped = malloc(n * NDJSON_GROWTH + 1);
    assert_non_null(escaped);
    size_t len = ndjson_escape_lossy(escaped, in, n);
    len = ndjson_unescape(escaped, escaped, len);
    assert_int_equal(r->data.len, len);
    assert_memory_equal(r->data.data, escaped, len);
    assert_int_equal(r->bytes.len, n);
    assert_memory_equal(r->bytes.data, in, n);
    free(escaped);
}

/* Puts bytes into the stream as one read would. */
static void put_raw(const char *bytes, size_t n)
{
    assert_true(n <= STREAM_BYTES);
    memcpy(stream.raw, bytes, n);
    stream.len = stream.ready = n;
}

static void test_chunk__lines_are_exactly_these(void **state)
{
    (void)state;
    static const char want[] =
        "{\"type\":\"exec:chunk\",\"correlation_id\":\"0b5e7c1a-1111-4222-8333-944445555666\","
        "\"attempt\":1,\"stream\":\"stdout\",\"sequence\":1,\"bytes\":6,\"data\":"
        "\"one\\n" REPLACEMENT "2\",\"data_base64\":\"b25lCv8y\",\"timestamp\":\"" WHEN
        "\",\"index\":3}\n";
    static const char want_mirror[] = "{\"type\":\"command:stdout\",\"data\":\"one\\n" REPLACEMENT
                                      "2\",\"timestamp\":\"" WHEN "\",\"index\":3}\n";
    struct reader r;
    reader_init(&r);
    put_raw("one\n\xFF"
            "2",
            6);
    assert_int_equal(stream_encode(&stream, true, &r.context, when(), &chunk), 6);
    assert_int_equal(chunk.end - chunk.begin, sizeof want - 1);
    assert_memory_equal(chunk.bytes + chunk.begin, want, sizeof want - 1);
    stream_mirror(&stream, 6, &r.context, when(), &mirror);
    assert_int_equal(mirror.end - mirror.begin, sizeof want_mirror - 1);
    assert_memory_equal(mirror.bytes + mirror.begin, want_mirror, sizeof want_mirror - 1);
    reader_release(&r);
}

static void test_chunk__text_is_exact_wherever_its_reads_end(void **state)
{
    (void)state;
    static const char text[] = "a\xC3\xA9\"\xE2\x82\xAC\n\xF0\x9F\x98\x80\\\x01\xDF\xBF"
                               "\xED\x9F\xBF\xF4\x8F\xBF\xBF.";
    const size_t n = sizeof text - 1;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    for (size_t first = 1; first < n; first++) {
        for (size_t second = first + 1; second <= n; second++) {
            struct reader r;
            reader_init(&r);
            feed(&r, fds, text, first);
            feed(&r, fds, text + first, second - first);
            if (second < n)
                feed(&r, fds, text + second, n - second);
            drain(&r, true);
            assert_int_equal(r.binary, 0);
            check_all(&r, text, n);
            reader_release(&r);
        }
    }
    close(fds[0]);
    close(fds[1]);
}

static void test_chunk__any_bytes_are_exact_wherever_their_reads_end(void **state)
{
    (void)state;
    static const char bytes[] = "a\xF0\x9F\x98z\xE2\x82\xC3\xA9\x80\xED\xA0\x80\0\xC0\xAF\xF0\x9F";
    const size_t n = sizeof bytes - 1;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    for (size_t first = 1; first < n; first++) {
        struct reader r;
        reader_init(&r);
        feed(&r, fds, bytes, first);
        feed(&r, fds, bytes + first, n - first);
        drain(&r, true);
        assert_true(r.binary > 0);
        check_all(&r, bytes, n);
        reader_release(&r);
    }
    close(fds[0]);
    close(fds[1]);
}

static void test_chunk__a_long_text_is_exact_over_full_buffers(void **state)
{
    (void)state;
    enum { N = 9 * 30000 };
    char *text = malloc(N);
    int fds[2];
    assert_non_null(text);
    assert_int_equal(pipe(fds), 0);
    for (size_t i = 0; i < N; i += 9)
        memcpy(text + i, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9);
    struct reader r;
    reader_init(&r);
    for (size_t i = 0, n; i < N; i += n) {
        n = N - i < 60001 ? N - i : 60001;
        feed(&r, fds, text + i, n);
    }
    drain(&r, true);
    assert_int_equal(r.binary, 0);
    check_all(&r, text, N);
    reader_release(&r);
    close(fds[0]);
    close(fds[1]);
    free(text);
}

static void test_chunk__a_full_buffer_of_any_byte_fits_and_loses_nothing(void **state)
{
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, '\n', 0x1F, ' ',  '"',  'a',  '\\',
                                           0x7F, 0x80, 0xBF, 0xC0, 0xC3, 0xE2, 0xF0, 0xFF};
    static char full[STREAM_BYTES];
    for (size_t i = 0; i < sizeof values; i++) {
        unsigned char c = values[i];
        bool grows = c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
        struct reader r;
        reader_init(&r);
        memset(full, c, sizeof full);
        put_raw(full, sizeof full);
        drain(&r, false);
        drain(&r, true);
        check_all(&r, full, sizeof full);
        assert_int_equal(r.lines > 1, grows);
        assert_int_equal(r.binary > 0, c >= 0x80);
        reader_release(&r);
    }
}

static void test_chunk__the_longest_numbers_fit_beside_the_longest_data(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r);
    r.context.attempt = UINT_MAX;
    r.context.sequence = UINT64_MAX - 1;
    r.context.index = SIZE_MAX;
    memset(r.context.correlation_id, 'c', sizeof r.context.correlation_id - 1);
    memset(stream.raw, 1, STREAM_BYTES);
    stream.len = stream.ready = STREAM_BYTES;
    size_t n = stream_encode(&stream, true, &r.context, when(), &chunk);
    assert_true(n > STREAM_BYTES / 4);
    cJSON_Delete(parse_line(&chunk, "exec:chunk"));
    assert_non_null(
        memmem(chunk.bytes + chunk.begin, CHUNK_HEAD, "\"sequence\":18446744073709551615,", 32));
    assert_memory_equal(chunk.bytes + chunk.end - 31, ",\"index\":18446744073709551615}\n", 31);
    assert_true(member(&chunk, ",\"data\":\"", false, &r.data));
    assert_int_equal(r.data.len, n);
    reader_release(&r);
}

static void test_chunk__random_mixtures_are_exact(void **state)
{
    (void)state;
    static char bytes[STREAM_BYTES];
    uint32_t seed = 12345;
    for (unsigned round = 0; round < 24; round++) {
        size_t n = STREAM_BYTES - round * 997;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            /* From nearly all text to nearly all noise. */
            bytes[i] = (char)((seed >> 8) % 4096 < (1u << round % 12) ? seed >> 24 : 'a' + i % 26);
        }
        struct reader r;
        reader_init(&r);
        put_raw(bytes, n);
        drain(&r, false);
        drain(&r, true);
        check_all(&r, bytes, n);
        reader_release(&r);
    }
}

static void test_chunk__long_text_before_noise_stays_text(void **state)
{
    (void)state;
    static char bytes[STREAM_BYTES];
    memset(bytes, 'a', sizeof bytes);
    struct reader r;
    reader_init(&r);
    bytes[5000] = '\xFF';
    put_raw(bytes, 5100);
    assert_int_equal(stream_encode(&stream, false, &r.context, when(), &chunk), 5000);
    check_line(&r, 5000);
    assert_int_equal(r.binary, 0);
    stream_consume(&stream, 5000);
    assert_int_equal(stream_encode(&stream, false, &r.context, when(), &chunk), 100);
    check_line(&r, 100);
    assert_int_equal(r.binary, 1);
    reader_release(&r);
}

static void test_chunk__short_text_before_noise_goes_with_it(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r);
    put_raw("short\xFF text", 11);
    drain(&r, false);
    assert_int_equal(r.lines, 1);
    assert_int_equal(r.binary, 1);
    assert_int_equal(stream.len, 0);
    check_all(&r, "short\xFF text", 11);
    reader_release(&r);
}

static void test_chunk__an_unfinished_character_waits_for_its_rest(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r);
    put_raw("a\xE2\x82", 3);
    assert_int_equal(stream_encode(&stream, false, &r.context, when(), &chunk), 1);
    stream_consume(&stream, 1);
    assert_int_equal(stream_encode(&stream, false, &r.context, when(), &chunk), 0);
    assert_int_equal(r.context.sequence, 1);
    assert_memory_equal(stream.raw, "\xE2\x82", 2);
    assert_int_equal(stream.len, 2);
    r.sequence = 1;
    assert_int_equal(stream_encode(&stream, true, &r.context, when(), &chunk), 2);
    check_line(&r, 2);
    assert_int_equal(r.binary, 1);
    check_all(&r, "\xE2\x82", 2);
    reader_release(&r);
}

static void test_chunk__nothing_makes_no_line(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r);
    assert_int_equal(stream_encode(&stream, false, &r.context, when(), &chunk), 0);
    assert_int_equal(stream_encode(&stream, true, &r.context, when(), &chunk), 0);
    assert_int_equal(r.context.sequence, 0);
    reader_release(&r);
}

static void test_chunk__reads_until_full_and_notes_the_first_byte(void **state)
{
    (void)state;
    static char bytes[STREAM_BYTES];
    bool whole = true;
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    stream_reset(&stream, "stderr", NULL, false);
    errno = 0;
    assert_int_equal(stream_read(&stream, fds[0], 10, &whole), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(stream.len, 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(stream_read(&stream, fds[0], 20, &whole), 3);
    assert_false(whole);
    assert_int_equal(stream.first_ns, 20);
    assert_int_equal(write(fds[1], bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(stream_read(&stream, fds[0], 30, &whole), STREAM_BYTES - 3);
    assert_true(whole);
    assert_int_equal(stream.first_ns, 20);
    assert_true(stream_full(&stream));
    stream_consume(&stream, 1);
    assert_false(stream_full(&stream));
    assert_memory_equal(stream.raw, "bc", 3);
    stream_consume(&stream, STREAM_BYTES - 1);
    assert_int_equal(stream_read(&stream, fds[0], 40, &whole), 3);
    assert_false(whole);
    assert_int_equal(stream.first_ns, 40);
    close(fds[1]);
    assert_int_equal(stream_read(&stream, fds[0], 50, &whole), 0);
    assert_int_equal(stream.len, 3);
    assert_int_equal(stream.tail.total, STREAM_BYTES + 3);
    close(fds[0]);
}

static int late_fd;

static void write_late(int signal)
{
    (void)signal;
    if (write(late_fd, "!", 1) != 1)
        abort();
}

static void test_chunk__a_signal_does_not_end_a_read(void **state)
{
    (void)state;
    struct sigaction act = {.sa_handler = write_late}, old; /* no SA_RESTART: read gives EINTR */
    struct itimerval soon = {.it_value = {.tv_usec = 10000}};
    bool whole;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    late_fd = fds[1];
    assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    stream_reset(&stream, "stdout", NULL, false);
    assert_int_equal(stream_read(&stream, fds[0], 1, &whole), 1);
    assert_int_equal(stream.raw[0], '!');
    sigaction(SIGALRM, &old, NULL);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk__lines_are_exactly_these),
        cmocka_unit_test(test_chunk__text_is_exact_wherever_its_reads_end),
        cmocka_unit_test(test_chunk__any_bytes_are_exact_wherever_their_reads_end),
        cmocka_unit_test(test_chunk__a_long_text_is_exact_over_full_buffers),
        cmocka_unit_test(test_chunk__a_full_buffer_of_any_byte_fits_and_loses_nothing),
        cmocka_unit_test(test_chunk__the_longest_numbers_fit_beside_the_longest_data),
        cmocka_unit_test(test_chunk__random_mixtures_are_exact),
        cmocka_unit_test(test_chunk__long_text_before_noise_stays_text),
        cmocka_unit_test(test_chunk__short_text_before_noise_goes_with_it),
        cmocka_unit_test(test_chunk__an_unfinished_character_waits_for_its_rest),
        cmocka_unit_test(test_chunk__nothing_makes_no_line),
        cmocka_unit_test(test_chunk__reads_until_full_and_notes_the_first_byte),
        cmocka_unit_test(test_chunk__a_signal_does_not_end_a_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
