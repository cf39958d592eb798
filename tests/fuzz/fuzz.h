/* What a fuzz target is: see LLVMFuzzerTestOneInput in the documentation of libFuzzer. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that was broken. */
#define FUZZ_NEED(condition) ((condition) ? (void)0 : abort())

#endif
