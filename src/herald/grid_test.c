/* grid_test.c - tables of JSON rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "herald/grid.h"

static void
check(const char *rows, const char *expected)
{
    static const struct grid_column columns[] = {
        { "NAME", "name", false },
        { "N", "n", true },
        { "TYPES", "types", false },
    };
    char out[1024];
    FILE *to = tmpfile();
    json_t *array = json_loads(rows, 0, NULL);
    assert_non_null(array);
    assert_non_null(to);
    assert_true(grid_print(array, columns, HD_ARRAY_LEN(columns), to));
    rewind(to);
    out[fread(out, 1, sizeof out - 1, to)] = '\0';
    assert_string_equal(out, expected);
    fclose(to);
    json_decref(array);
}

static void
columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    check("[]", "none\n");
    check("[{\"name\":\"a\",\"n\":1,\"types\":[\"x/y\"]},"
          "{\"name\":\"longer name\",\"n\":12345,\"types\":[\"x/y\",\"z/z\"]}]",
          "NAME             N  TYPES\n"
          "a                1  x/y\n"
          "longer name  12345  x/y,z/z\n");
}

static void
what_is_missing_is_a_dash_and_booleans_are_words(void **state)
{
    (void)state;
    check("[{\"n\":true},{\"name\":\"\",\"n\":null,\"types\":[]}]", "NAME    N  TYPES\n"
                                                                    "-     yes  -\n"
                                                                    "-       -  -\n");
}

static void
cells_cannot_steer_the_terminal_and_are_measured_in_characters(void **state)
{
    (void)state;
    check("[{\"name\":\"\\u001b[2J\",\"n\":1},{\"name\":\"caf\\u00e9\",\"n\":2}]",
          "NAME     N  TYPES\n"
          "\\x1b[2J  1  -\n"
          "caf\xc3\xa9     2  -\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(what_is_missing_is_a_dash_and_booleans_are_words),
        cmocka_unit_test(cells_cannot_steer_the_terminal_and_are_measured_in_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
