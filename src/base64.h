/* RFC 4648 base64, on machines of any kind. Pure functions, any thread. */
#ifndef CORCH_BASE64_H
#define CORCH_BASE64_H

#include <stddef.h>

/* As ndjson_base64 and ndjson_unbase64. */
size_t base64_encode(char *out, const char *in, size_t n);
size_t base64_decode(char *out, const char *in, size_t n);

#endif
