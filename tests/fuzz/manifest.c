/* A manifest, as resume reads it: what was read is printed so that it can be read, and is the same then. */
#include "manifest.h"

#include <string.h>

#include "fuzz.h"
#include "json.h"

static int parse(const char *text, size_t size, struct manifest *m)
{
    struct err e = {""};
    cJSON *doc = json_parse(text, size, "input", &e);
    int rc = doc ? manifest_parse(doc, m, &e) : -1;
    FUZZ_NEED(rc == 0 || e.text[0]);
    cJSON_Delete(doc);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest first, second;
    struct buf once = BUF_INIT, twice = BUF_INIT;
    if (parse((const char *)data, size, &first) != 0)
        return 0;
    FUZZ_NEED(manifest_print(&first, &once) == 0);
    FUZZ_NEED(parse(once.data, once.len, &second) == 0);
    FUZZ_NEED(manifest_print(&second, &twice) == 0);
    FUZZ_NEED(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    manifest_release(&first);
    manifest_release(&second);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
