/* The configuration: whatever it holds, it is taken or refused with a word. */
#include "config.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct err e = {""};
    if (config_parse((const char *)data, size, "input", &c, &e) != 0) {
        FUZZ_NEED(e.text[0]);
        return 0;
    }
    FUZZ_NEED(config_pipeline(&c, "diagnostics"));
    config_release(&c);
    return 0;
}
