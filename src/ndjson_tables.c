/* Owns the tables of the vector paths, computed by the compiler. Constant. */
#include "ndjson_path.h"

#if NDJSON_X86

#define FOUR(entry, i) entry(i), entry(i + 1), entry(i + 2), entry(i + 3)
#define SIXTEEN(entry, i) \
    FOUR(entry, i), FOUR(entry, i + 4), FOUR(entry, i + 8), FOUR(entry, i + 12)
#define SIXTY_FOUR(entry, i) \
    SIXTEEN(entry, i), SIXTEEN(entry, i + 16), SIXTEEN(entry, i + 32), SIXTEEN(entry, i + 48)
#define ALL(entry) \
    SIXTY_FOUR(entry, 0), SIXTY_FOUR(entry, 64), SIXTY_FOUR(entry, 128), SIXTY_FOUR(entry, 192)

#define BYTE(c, at) ((uint64_t)(c) << 8 * (at))
#define WORD(n, a, b, c) (BYTE(a, 0) | BYTE(b, 1) | BYTE(c, 2) | BYTE(n, 7))

#define LETTER(c)                      \
    ((c) == '\b'                 ? 'b' \
     : (c) == '\t'               ? 't' \
     : (c) == '\n'               ? 'n' \
     : (c) == '\f'               ? 'f' \
     : (c) == '\r'               ? 'r' \
     : (c) == '"' || (c) == '\\' ? (c) \
                                 : 0)
#define HEX(c) ((c) + ((c) < 10 ? '0' : 'a' - 10))
#define LONG(c) \
    (WORD(6, '\\', 'u', '0') | BYTE('0', 3) | BYTE(HEX((c) >> 4), 4) | BYTE(HEX((c)&15), 5))
#define ESCAPED(c)                                                            \
    (LETTER(c)                                  ? WORD(2, '\\', LETTER(c), 0) \
     : (c) < 0x20                               ? LONG(c)                     \
     : (c) == NDJSON_NOTHING                    ? 0                           \
     : (c) == 0xC0 || (c) == 0xC1 || (c) > 0xF4 ? WORD(3, 0xEF, 0xBF, 0xBD)   \
                                                : WORD(1, c, 0, 0))

const uint64_t ndjson_words[256] = {ALL(ESCAPED)};

/* Where byte k comes to stand: behind the bytes before it, and a byte 8 for each of the set up to
 * it. */
#define BIT(set, k) ((set) >> (k)&1)
#define BITS(set)                                                                        \
    (BIT(set, 0) + BIT(set, 1) + BIT(set, 2) + BIT(set, 3) + BIT(set, 4) + BIT(set, 5) + \
     BIT(set, 6) + BIT(set, 7))
#define PLACE(set, k) ((k) + BITS((set) & ((2 << (k)) - 1)))
#define IF_IN(half, place, byte) ((place) >> 3 == (half) ? BYTE(byte, (place)&7) : 0)
#define TWO(set, half, k) \
    (IF_IN(half, PLACE(set, k), k) | (BIT(set, k) ? IF_IN(half, PLACE(set, k) - 1, 8) : 0))
#define HALF(set, half)                                                              \
    (TWO(set, half, 0) | TWO(set, half, 1) | TWO(set, half, 2) | TWO(set, half, 3) | \
     TWO(set, half, 4) | TWO(set, half, 5) | TWO(set, half, 6) | TWO(set, half, 7))
#define ORDER(set)                 \
    {                              \
        HALF(set, 0), HALF(set, 1) \
    }

const uint64_t ndjson_orders[256][2] = {ALL(ORDER)};

#endif
