/* Time: wall clock for what people read, monotonic clock for what is measured or awaited. */
#ifndef CORCH_CLOCK_H
#define CORCH_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_C(-1) /* a time that is null in JSON */
#define CLOCK_ISO_LEN ((size_t)24)

int64_t clock_wall_ms(void); /* milliseconds since 1970 */
int64_t clock_mono_ns(void); /* nanoseconds since some moment of the past */

/* Writes "2026-11-22T17:08:00.123Z" and a NUL. No locale, no allocation. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1]);

/* Reads that form back (the fraction may be missing or of 1 to 9 digits); CLOCK_NEVER if it is
 * something else or `text` is NULL. */
int64_t clock_parse_iso(const char *text);

void clock_sleep_ms(long ms); /* for pauses between tries, nothing else */

/* For tests, before any thread is started: other sources of time; NULL restores the real one. */
void clock_inject(int64_t (*wall_ms)(void), int64_t (*mono_ns)(void));

#endif
