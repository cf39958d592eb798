/*
 * guard-rules FILE: compiles the privacy rules when the program is built, and writes them serialized,
 * as numbers with commas. Compiling at run time would cost each process 2.6 ms and 6 MB.
 */
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard_patterns.h"

int main(int argc, char **argv)
{
    /* For any processor Hyperscan runs on, not only for this one. */
    const hs_platform_info_t any = {.tune = HS_TUNE_FAMILY_GENERIC};
    hs_database_t *rules = NULL;
    hs_compile_error_t *why = NULL;
    char *bytes = NULL;
    size_t n = 0;
    if (hs_compile_multi(patterns, flags, ids, PATTERNS, HS_MODE_STREAM, &any, &rules, &why) !=
        HS_SUCCESS) {
        fprintf(stderr, "guard_rules: %s\n", why ? why->message : "can't compile the rules");
        return 1;
    }
    if (hs_serialize_database(rules, &bytes, &n) != HS_SUCCESS) {
        fprintf(stderr, "guard_rules: can't serialize the rules\n");
        return 1;
    }
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    for (size_t i = 0; out && i < n; i++)
        fprintf(out, "%d,%s", (signed char)bytes[i], i % 20 == 19 ? "\n" : "");
    free(bytes);
    hs_free_database(rules);
    if (out && fclose(out) == 0)
        return 0;
    perror("guard_rules: can't write the rules");
    return 1;
}
