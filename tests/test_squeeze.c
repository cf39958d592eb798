/* JSON text on one line: white space goes, but not from strings, wherever the text is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "random_text.h"
#include "squeeze.h"

/* One byte, as it is defined; false: it goes. */
static bool ref_keeps(struct squeeze *s, char c)
{
    if (s->escaped) {
        s->escaped = false;
    } else if (s->in_string) {
        s->escaped = c == '\\';
        s->in_string = c != '"';
    } else {
        s->in_string = c == '"';
        return !strchr(" \n\t\r", c);
    }
    return true;
}

static void test_squeeze__drops_white_space_outside_of_strings(void **state)
{
    (void)state;
    char text[] = "{\n\t\"a b\": [ 1,\r\n 2 ],  \"c\\\" d\" : \"\\\\\" , \"\" : null }\n";
    const char *want = "{\"a b\":[1,2],\"c\\\" d\":\"\\\\\",\"\":null}";
    struct squeeze s = {0};
    assert_int_equal(squeeze(&s, text, strlen(text)), strlen(want));
    assert_memory_equal(text, want, strlen(want));
}

static void test_squeeze__is_the_same_however_the_text_is_cut(void **state)
{
    (void)state;
    struct squeeze s = {0}, ref = {0};
    for (int round = 0; round < 100000; round++) {
        char piece[20], want[20];
        size_t n = random_below(sizeof piece + 1), kept = 0;
        for (size_t i = 0; i < n; i++) {
            piece[i] = "\"\"\\\\\n ab"[random_below(8)];
            if (ref_keeps(&ref, piece[i]))
                want[kept++] = piece[i];
        }
        assert_int_equal(squeeze(&s, piece, n), kept);
        assert_memory_equal(piece, want, kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_squeeze__drops_white_space_outside_of_strings),
        cmocka_unit_test(test_squeeze__is_the_same_however_the_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
