/* The smallest key comes out first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "heap.h"

enum { MOST = 1000 };

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void test_heap__gives_back_what_was_added_in_order(void **state)
{
    (void)state;
    struct heap h = {0};
    int64_t keys[MOST];
    uint64_t random = 7;
    for (size_t i = 0; i < MOST; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        keys[i] = (int64_t)(random >> 54) - 500; /* many of them twice */
        assert_int_equal(heap_add(&h, keys[i], &keys[i]), 0);
    }
    int64_t sorted[MOST];
    for (size_t i = 0; i < MOST; i++)
        sorted[i] = keys[i];
    qsort(sorted, MOST, sizeof *sorted, by_value);
    for (size_t i = 0; i < MOST; i++) {
        struct heap_item item = heap_take(&h);
        assert_int_equal(item.key, sorted[i]);
        assert_int_equal(*(int64_t *)item.value, item.key);
    }
    assert_int_equal(h.n, 0);
    heap_release(&h);
}

static void test_heap__adds_and_takes_in_any_mixture(void **state)
{
    (void)state;
    struct heap h = {0};
    for (int64_t round = 0; round < 100; round++) {
        assert_int_equal(heap_add(&h, 1000 - round, NULL), 0);
        assert_int_equal(heap_add(&h, round, NULL), 0);
        assert_int_equal(heap_take(&h).key, round); /* the smallest so far */
    }
    assert_int_equal(h.items[0].key, 901);
    heap_release(&h);
}

static void test_heap__within_what_was_reserved_nothing_is_allocated(void **state)
{
    (void)state;
    struct heap h = {0};
    assert_int_equal(heap_reserve(&h, 64), 0);
    const struct heap_item *items = h.items;
    for (int64_t i = 0; i < 64; i++)
        assert_int_equal(heap_add(&h, -i, NULL), 0);
    assert_ptr_equal(h.items, items);
    assert_int_equal(heap_take(&h).key, -63);
    heap_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap__gives_back_what_was_added_in_order),
        cmocka_unit_test(test_heap__adds_and_takes_in_any_mixture),
        cmocka_unit_test(test_heap__within_what_was_reserved_nothing_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
