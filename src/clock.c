/* Owns where time comes from and how it is written. Any thread. */
#include "clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static int64_t real_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t real_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t (*wall_source)(void) = real_wall_ms;
static int64_t (*mono_source)(void) = real_mono_ns;

void clock_inject(int64_t (*wall_ms)(void), int64_t (*mono_ns)(void))
{
    wall_source = wall_ms ? wall_ms : real_wall_ms;
    mono_source = mono_ns ? mono_ns : real_mono_ns;
}

int64_t clock_wall_ms(void)
{
    return wall_source();
}

int64_t clock_mono_ns(void)
{
    return mono_source();
}

static void digits(char *out, unsigned value, int width)
{
    while (width-- > 0) {
        out[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days to a civil date: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static void civil(int64_t days, unsigned *y, unsigned *m, unsigned *d)
{
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (unsigned)(era * 400 + yoe) + (*m <= 2);
}

void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1])
{
    if (wall_ms < 0)
        wall_ms = 0;
    unsigned y, m, d;
    civil(wall_ms / 86400000, &y, &m, &d);
    unsigned ms = (unsigned)(wall_ms % 86400000);
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_ISO_LEN + 1);
    digits(out, y, 4);
    digits(out + 5, m, 2);
    digits(out + 8, d, 2);
    digits(out + 11, ms / 3600000, 2);
    digits(out + 14, ms / 60000 % 60, 2);
    digits(out + 17, ms / 1000 % 60, 2);
    digits(out + 20, ms % 1000, 3);
}

/* Six numbers of fixed width; false if the first 19 bytes of `text` are something else. */
static bool read_fields(const char *text, int field[6])
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t f = 0;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] != 'd') {
            if (text[i] != form[i])
                return false;
            f++;
        } else {
            if (text[i] < '0' || text[i] > '9')
                return false;
            field[f] = field[f] * 10 + (text[i] - '0');
        }
    }
    return true;
}

/* What follows the seconds: milliseconds of ".123Z" or "Z", -1 if it is something else. */
static int read_fraction(const char *p)
{
    int ms = 0;
    if (*p == '.') {
        size_t n = strspn(++p, "0123456789");
        if (n < 1 || n > 9)
            return -1;
        for (size_t i = 0; i < 3; i++)
            ms = ms * 10 + (i < n ? p[i] - '0' : 0);
        p += n;
    }
    return strcmp(p, "Z") == 0 ? ms : -1;
}

int64_t clock_parse_iso(const char *text)
{
    int f[6] = {0};
    if (!text || !read_fields(text, f))
        return CLOCK_NEVER;
    int ms = read_fraction(text + 19);
    struct tm tm = {.tm_year = f[0] - 1900,
                    .tm_mon = f[1] - 1,
                    .tm_mday = f[2],
                    .tm_hour = f[3],
                    .tm_min = f[4],
                    .tm_sec = f[5]};
    int64_t seconds = (int64_t)timegm(&tm);
    /* timegm makes 30 February the first or second of March: such a day is refused */
    bool exists = tm.tm_mon == f[1] - 1 && tm.tm_mday == f[2] && tm.tm_hour == f[3] &&
                  tm.tm_min == f[4] && tm.tm_sec == f[5];
    return ms >= 0 && exists && seconds >= 0 ? seconds * 1000 + ms : CLOCK_NEVER;
}

void clock_sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}
