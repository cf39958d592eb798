/* Owns identifiers. Any thread. */
#include "ids.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "clock.h"

#define ID_MAX 200 /* bytes; leaves room for suffixes below the 255 of a file name */

static void random_bytes(unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* the kernel has had getrandom since 3.17: nothing sensible is left to do */
        if (got > 0) {
            out += got;
            n -= (size_t)got;
        }
    }
}

/* A command takes some fifty bytes: what the kernel gives at once is enough for a few. Each is used
 * once, and then gone from memory. */
static unsigned char random_byte(void)
{
    static _Thread_local unsigned char bytes[ID_RANDOM_BYTES];
    static _Thread_local size_t used = sizeof bytes;
    if (used == sizeof bytes) {
        random_bytes(bytes, sizeof bytes);
        used = 0;
    }
    unsigned char byte = bytes[used];
    bytes[used++] = 0;
    return byte;
}

void id_hex(char *out, size_t n)
{
    unsigned char byte = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0)
            byte = random_byte();
        out[i] = "0123456789abcdef"[i % 2 ? byte & 15 : byte >> 4];
    }
    out[n] = '\0';
}

void id_uuid(char out[ID_UUID_LEN + 1])
{
    char hex[33];
    id_hex(hex, 32);
    hex[12] = '4';
    hex[16] = "89ab"[hex[16] & 3];
    size_t from = 0;
    for (size_t to = 0; to < ID_UUID_LEN; to++)
        out[to] = to == 8 || to == 13 || to == 18 || to == 23 ? '-' : hex[from++];
    out[ID_UUID_LEN] = '\0';
}

void id_run(int64_t wall_ms, char out[ID_RUN_LEN + 1])
{
    clock_iso(wall_ms, out);
    for (char *p = out; *p; p++) {
        if (*p == ':' || *p == '.')
            *p = '-';
    }
    out[CLOCK_ISO_LEN] = '-';
    id_hex(out + CLOCK_ISO_LEN + 1, 8);
}

void id_token(char out[ID_TOKEN_LEN + 1])
{
    id_hex(out, ID_TOKEN_LEN);
}

static bool is_device_name(const char *value)
{
    static const char *const names[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
    size_t n = strcspn(value, ".");
    while (n > 0 && value[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == n && strncasecmp(value, names[i], n) == 0)
            return true;
    }
    return n == 4 && (strncasecmp(value, "COM", 3) == 0 || strncasecmp(value, "LPT", 3) == 0) &&
           value[3] >= '1' && value[3] <= '9';
}

static const char *fault(const char *value)
{
    size_t n = strlen(value);
    if (n > ID_MAX)
        return "it is longer than 200 bytes";
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < 32 || *p == 127)
            return "control characters are not allowed";
        if (strchr("<>:\"|?*", *p))
            return "none of < > : \" | ? * is allowed";
        if (*p == '/' || *p == '\\')
            return "slashes are not allowed";
    }
    if (value[0] == '.')
        return "leading dots are not allowed";
    if (value[n - 1] == '.' || value[n - 1] == ' ')
        return "trailing dots or spaces are not allowed";
    return is_device_name(value) ? "Windows reserved device names are not allowed" : NULL;
}

int id_check(const char *kind, const char *value, struct err *e)
{
    if (!value || !*value)
        return err_set(e, "Invalid %s ID: it is empty", kind);
    const char *why = fault(value);
    if (!why)
        return 0;
    char shown[ID_MAX + 1];
    size_t n = 0;
    for (; value[n] && n < ID_MAX; n++)
        shown[n] = iscntrl((unsigned char)value[n]) ? '?' : value[n];
    shown[n] = '\0';
    return err_set(e, "Invalid %s ID \"%s\": %s", kind, shown, why);
}

void id_slug(const char *value, char out[ID_SLUG_MAX + 1])
{
    size_t n = 0;
    for (const char *p = value; *p && n < ID_SLUG_MAX; p++) {
        bool keep = isalnum((unsigned char)*p) && (unsigned char)*p < 128;
        if (keep)
            out[n++] = *p;
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    if (n == 0)
        memcpy(out, "command", sizeof "command");
}
