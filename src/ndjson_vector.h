/*
 * The loops over blocks of WIDTH bytes, for whoever defines them before including this: FAST (the
 * attributes of a function), vec (a vector of WIDTH unsigned char), and the functions
 *
 *     look(table, v)        table[v & 15] for each byte, 0 for those of 0x80 and above
 *     mask(v)               the highest bits of all bytes
 *     behind(v, before, k)  the bytes k places earlier in `before` and `v`, which follows it
 *     part(v, k)            its k-th sixteen bytes
 *     spread(in)            groups of three bytes, in the order 1 0 2 1
 *     close_up(v)           the lower three bytes of each four, in the order 2 1 0
 *     each_four(x)          an integer of 32 bits, again and again
 *     times_high, times_low the halves of the products of elements of 16 bits
 *     join_pairs, join_fours the sums of products of neighbours, of 8 and 16 bits
 *
 * UTF-8 is checked as in Keiser & Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte"
 * (2021): three tables, looked up by the halves of two neighbours, have a bit in common if these
 * can't be neighbours.
 */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ndjson.h"
#include "ndjson_path.h"
#include "utf8.h"

enum {
    SHORT = 1,        /* a lead, and no continuation behind it */
    STRAY = 2,        /* a continuation behind ASCII */
    OVERLONG_3 = 4,   /* E0 80 to E0 9F */
    BEYOND_F48F = 8,  /* F4 90 and more */
    SURROGATE = 16,   /* ED A0 and more */
    OVERLONG_2 = 32,  /* C0 and C1 */
    BEYOND_F580 = 64, /* F5 80 to F5 8F and so on */
    OVERLONG_4 = 64,  /* F0 80 to F0 8F */
    TWO = 128,        /* two continuations: good or bad, their leads tell */
    ANY = SHORT | STRAY | TWO,
    CONTINUED = STRAY | TWO | OVERLONG_2,
};

static const unsigned char first_high[16] = {
    [0x0 ... 0x7] = STRAY,
    [0x8 ... 0xB] = TWO,
    [0xC] = SHORT | OVERLONG_2,
    [0xD] = SHORT,
    [0xE] = SHORT | OVERLONG_3 | SURROGATE,
    [0xF] = SHORT | BEYOND_F48F | BEYOND_F580 | OVERLONG_4,
};

static const unsigned char first_low[16] = {
    [0x0] = ANY | OVERLONG_2 | OVERLONG_3 | OVERLONG_4,
    [0x1] = ANY | OVERLONG_2,
    [0x2 ... 0x3] = ANY,
    [0x4] = ANY | BEYOND_F48F,
    [0x5 ... 0xC] = ANY | BEYOND_F48F | BEYOND_F580,
    [0xD] = ANY | BEYOND_F48F | BEYOND_F580 | SURROGATE,
    [0xE ... 0xF] = ANY | BEYOND_F48F | BEYOND_F580,
};

static const unsigned char second_high[16] = {
    [0x0 ... 0x7] = SHORT,
    [0x8] = CONTINUED | OVERLONG_3 | OVERLONG_4 | BEYOND_F580,
    [0x9] = CONTINUED | OVERLONG_3 | BEYOND_F48F,
    [0xA ... 0xB] = CONTINUED | SURROGATE | BEYOND_F48F,
    [0xC ... 0xF] = SHORT,
};

static inline FAST vec load(const char *from)
{
    vec v;
    memcpy(&v, from, WIDTH);
    return v;
}

static inline FAST void store(char *to, vec v)
{
    memcpy(to, &v, WIDTH);
}

/* What is wrong with each pair of neighbours. */
static inline FAST vec check_pairs(vec first, vec second)
{
    return look(first_high, first >> 4) & look(first_low, first & 15) &
           look(second_high, second >> 4);
}

/* Not 0 where a block is no UTF-8, or where that shows of the block before. What a block's end
 * begins shows in the next one. */
static inline FAST vec check_block(vec v, vec before)
{
    vec second = check_pairs(behind(v, before, 1), v);
    vec third = (vec)(behind(v, before, 2) >= 0xE0) | (vec)(behind(v, before, 3) >= 0xF0);
    return second ^ (third & TWO);
}

static inline FAST char *put_word(char *out, unsigned char symbol)
{
    uint64_t word = ndjson_words[symbol];
    memcpy(out, &word, 8);
    return out + (word >> 56);
}

/* Each symbol as the word for it; n is a multiple of four. */
static inline FAST size_t put_words(char *out, const char *symbols, size_t n)
{
    const unsigned char *p = (const unsigned char *)symbols;
    char *to = out;
    for (size_t i = 0; i < n; i += 4) {
        to = put_word(to, p[i]);
        to = put_word(to, p[i + 1]);
        to = put_word(to, p[i + 2]);
        to = put_word(to, p[i + 3]);
    }
    return (size_t)(to - out);
}

/* The lower or upper eight bytes, a backslash before each that is in `set`. */
static inline FAST size_t put_eight(char *out, __m128i v, uint32_t set, bool upper)
{
    __m128i slashes = _mm_set1_epi8('\\');
    v = upper ? _mm_unpackhi_epi64(v, slashes) : _mm_unpacklo_epi64(v, slashes);
    __m128i order = _mm_loadu_si128((const __m128i *)ndjson_orders[set]);
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(v, order));
    return 8 + (size_t)_mm_popcnt_u32(set);
}

/* The same for sixteen bytes; those in `far` need more than backslashes. */
static inline FAST size_t put_sixteen(char *out, const char *in, __m128i v, uint32_t set,
                                      uint32_t far)
{
    size_t o = far & 255 ? put_words(out, in, 8) : put_eight(out, v, set & 255, false);
    return o + (far & 0xFF00 ? put_words(out + o, in + 8, 8)
                             : put_eight(out + o, v, set >> 8 & 255, true));
}

/* A block of valid text, at `in` and in `v`. */
static inline FAST size_t put_text(char *out, const char *in, vec v)
{
    static const unsigned char letters[16] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    vec control = (vec)(v < 0x20);
    uint32_t set = mask(control | (vec)(v == '"') | (vec)(v == '\\'));
    if (set == 0) {
        store(out, v);
        return WIDTH;
    }
    vec letter = look(letters, v) & (vec)(v < 0x10);
    uint32_t far = mask(control & (vec)(letter == 0));
    v = (v & ~control) | letter;
    size_t o = 0;
    for (unsigned k = 0; k < WIDTH / 16; k++)
        o += put_sixteen(out + o, in + 16 * k, part(v, k), set >> 16 * k, far >> 16 * k);
    return o;
}

/* Whether a block goes on with valid text, but for a character that the next one may finish. */
static inline FAST bool is_valid(vec v, vec before)
{
    unsigned char last = v[WIDTH - 1];
    return mask((vec)(check_block(v, before) != 0)) == 0 && (last < 0xC0 || utf8_leads(last));
}

static FAST size_t escape_valid(char *out, size_t cap, const char *in, size_t n, size_t *used)
{
    size_t i = 0, o = 0;
    vec before = {0};
    while (n - i >= WIDTH && cap - o >= NDJSON_GROWTH * WIDTH + 8) {
        vec v = load(in + i);
        if (mask(v | before) != 0 && !is_valid(v, before))
            break;
        o += put_text(out + o, in + i, v);
        before = v;
        i += WIDTH;
    }
    size_t back = ndjson_unfinished(in, i); /* it has been copied as it is */
    o -= back;
    i -= back;
    o += ndjson_scalar.escape(out + o, cap - o, in + i, n - i, used);
    *used += i;
    return o;
}

/* What belongs to leads, each by its distance to its lead: OWNED, and WHOLE if the character is. */
enum { OWNED = 1, WHOLE = 2 };
struct owned {
    vec by[3];
};

/* The bytes that belong to the leads of this block and the one before. */
static inline FAST vec owned_bytes(const struct owned *now, const struct owned *before)
{
    return behind(now->by[0], before->by[0], 1) | behind(now->by[1], before->by[1], 2) |
           behind(now->by[2], before->by[2], 3);
}

/* Finds the leads of a block, behind which three more bytes can be read, and what belongs to them.
 * Returns where a whole character begins that is not ASCII. */
static inline FAST vec find_leads(vec v, const char *in, struct owned *now)
{
    vec two = (vec)(v >= 0xC0) & (vec)(check_pairs(v, load(in + 1)) == 0);
    vec three = two & (vec)(v >= 0xE0) & (vec)((load(in + 2) & 0xC0) == 0x80);
    vec four = three & (vec)(v >= 0xF0) & (vec)((load(in + 3) & 0xC0) == 0x80);
    vec whole = (two & (vec)(v < 0xE0)) | (three & (vec)(v < 0xF0)) | four;
    vec kind = (whole & WHOLE) | OWNED;
    *now = (struct owned){{two & kind, three & kind, four & kind}};
    return whole;
}

/* The symbols of a block, for put_words; returns whether they are its bytes, which are valid. */
static inline FAST bool find_symbols(vec v, const char *in, struct owned *before, char *symbols)
{
    struct owned now;
    vec whole = find_leads(v, in, &now), owned = owned_bytes(&now, before);
    vec bad = (vec)(v >= 0x80) & ~whole & (vec)(owned == 0), gone = (vec)(owned == OWNED);
    *before = now;
    store(symbols, ((v | bad) & ~gone) | (gone & NDJSON_NOTHING));
    return mask(bad | gone) == 0;
}

/* The rest of a character whose lead was in the last block; returns how many bytes of input. */
static inline FAST size_t put_rest(char *out, size_t *o, const char *in, const struct owned *before)
{
    const struct owned none = {{{0}}};
    char owned[WIDTH];
    size_t i = 0;
    store(owned, owned_bytes(&none, before));
    for (; owned[i]; i++) {
        if (owned[i] & WHOLE)
            out[(*o)++] = in[i];
    }
    return i;
}

/* Symbols are gathered, then written: the processor waits if they are read back at once. */
static FAST size_t escape_lossy(char *out, const char *in, size_t n)
{
    char symbols[16 * WIDTH];
    size_t i = 0, o = 0, gathered = 0;
    struct owned before = {{{0}}};
    for (; n - i >= WIDTH + 3; i += WIDTH) {
        vec v = load(in + i);
        bool valid = find_symbols(v, in + i, &before, symbols + gathered);
        gathered += valid ? 0 : WIDTH;
        if (valid || gathered == sizeof symbols) {
            o += put_words(out + o, symbols, gathered);
            gathered = 0;
        }
        if (valid)
            o += put_text(out + o, in + i, v);
    }
    o += put_words(out + o, symbols, gathered);
    i += put_rest(out, &o, in + i, &before);
    return o + ndjson_scalar.escape_lossy(out + o, in + i, n - i);
}

/*
 * Base64 as in Muła & Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions" (2018).
 * Multiplying shifts: of each group 1 0 2 1, two of the four times six bits are taken by the upper
 * half of a product and two by the lower one.
 */
static inline FAST vec sextets(vec groups)
{
    vec odd = times_high(groups & each_four(0x0FC0FC00), each_four(0x04000040));
    vec even = times_low(groups & each_four(0x003F03F0), each_four(0x01000010));
    return odd | even;
}

/* The digit of a sextet is its sum with a number that depends on its range: 0 to 25, to 51, each
 * of the digits, and the last two. */
static inline FAST vec digits_of(vec sextet)
{
    enum { TEN = 256 + '0' - 52 };
    static const unsigned char shifts[16] = {
        'a' - 26,       TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, 256 + '+' - 62,
        256 + '/' - 63, 'A'};
    vec range = (vec)(sextet > 51) & (sextet - 51);
    range |= (vec)(sextet < 26) & 13;
    return sextet + look(shifts, range);
}

static FAST size_t base64(char *out, const char *in, size_t n)
{
    size_t i = 0, o = 0;
    for (; n - i >= WIDTH; i += WIDTH / 4 * 3, o += WIDTH)
        store(out + o, digits_of(sextets(spread(in + i))));
    return o + ndjson_scalar.base64(out + o, in + i, n - i);
}

/* Bytes that are no digits have a bit in common in the entries for their halves. */
static inline FAST vec no_digits(vec v)
{
    static const unsigned char low[16] = {0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                          0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A};
    static const unsigned char high[16] = {0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08,
                                           0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10};
    return look(low, v & 15) & look(high, v >> 4);
}

/* Sextets of digits; joined in pairs, then in fours, by products and sums. */
static inline FAST vec bytes_of(vec digits)
{
    enum { UPPER = 256 - 'A', LOWER = 256 + 26 - 'a' };
    static const unsigned char shifts[16] = {0,     63 - '/', 62 - '+', 52 - '0',
                                             UPPER, UPPER,    LOWER,    LOWER};
    vec sextet = digits + look(shifts, (digits >> 4) + (vec)(digits == '/'));
    return close_up(join_fours(join_pairs(sextet, each_four(0x01400140)), each_four(0x00011000)));
}

/* Stores WIDTH bytes, of which three quarters are meant, so it ends where there is no room for
 * them. */
static FAST size_t unbase64(char *out, const char *in, size_t n)
{
    size_t i = 0, o = 0;
    for (; n - i >= WIDTH / 3 * 4 + 4; i += WIDTH, o += WIDTH / 4 * 3) {
        vec v = load(in + i);
        if (mask((vec)(no_digits(v) != 0)) != 0)
            return (size_t)-1;
        store(out + o, bytes_of(v));
    }
    size_t rest = ndjson_scalar.unbase64(out + o, in + i, n - i);
    return rest == (size_t)-1 ? rest : o + rest;
}
