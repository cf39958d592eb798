/*
 * Bytes of a command's output as the inside of a JSON string, fast: no allocation, no formatted
 * print. A worker encodes its own output; the functions are pure, so any thread may use them.
 */
#ifndef CORCH_NDJSON_H
#define CORCH_NDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* What one byte of valid text can grow to ("\u001b"), and what one byte of anything can grow to
 * in ndjson_escape_lossy. */
#define NDJSON_GROWTH ((size_t)6)

/*
 * Escapes the longest prefix of in[0, n) that is valid UTF-8 (Unicode 15, table 3-7) and fits into
 * `cap` bytes; whole characters only. Puts the bytes consumed into `*used`, returns the bytes
 * written. It stopped at something invalid, or at an unfinished character at the end, if *used < n
 * although NDJSON_GROWTH bytes are left.
 */
size_t ndjson_escape(char *out, size_t cap, const char *in, size_t n, size_t *used);

/* Escapes all of in[0, n), U+FFFD for each maximal part that is not UTF-8 (as WHATWG's decoder).
 * `out` must have room for NDJSON_GROWTH * n. Returns the bytes written. */
size_t ndjson_escape_lossy(char *out, const char *in, size_t n);

/* Copies in[0, n) with U+FFFD for each maximal part that is not UTF-8 and for each NUL, so that it
 * can be a C string. `out` must have room for NDJSON_CLEAN_GROWTH * n. Returns the bytes written. */
#define NDJSON_CLEAN_GROWTH ((size_t)3)
size_t ndjson_clean(char *out, const char *in, size_t n);

/* RFC 4648 base64 with padding; `out` must have room for (n + 2) / 3 * 4. Returns that number. */
size_t ndjson_base64(char *out, const char *in, size_t n);

/* Length of the valid UTF-8 character that in[0, n) begins with; 0: it begins with none. */
size_t ndjson_character(const char *in, size_t n);

/* Whether the text is valid UTF-8. */
bool ndjson_is_text(const char *text);

/* How many bytes (0 to 3) at the end of in[0, n) begin a character whose rest is still to come. */
size_t ndjson_unfinished(const char *in, size_t n);

/* Decimal digits of `value`; up to 20 bytes, no NUL. Returns how many. */
size_t ndjson_u64(char *out, uint64_t value);

/* Appends `text` as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void ndjson_addstr(struct buf *b, const char *text);

/* Undoes the escapes of a JSON string's inside into `out` (never longer than the input); bytes
 * that are no escape are copied. Returns the bytes written, or (size_t)-1 at a broken escape. */
size_t ndjson_unescape(char *out, const char *in, size_t n);

/* Undoes base64; `out` must have room for n / 4 * 3. (size_t)-1 if it is not base64. */
size_t ndjson_unbase64(char *out, const char *in, size_t n);

#endif
