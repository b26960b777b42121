#include "herald/play_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Files of the test by name, instead of a disk. */
struct disk {
    const char *path, *text;
};

static char *
read_disk(void *context, const char *path, size_t *ret_len)
{
    for (const struct disk *file = context; file->path; file++) {
        if (strcmp(file->path, path) == 0) {
            *ret_len = strlen(file->text);
            return hd_slice_strdup(hd_slice_str(file->text));
        }
    }
    return NULL;
}

static enum hd_err
read_text(const char *text, struct play_file *file, char problem[512])
{
    struct disk disk[] = { { "a.play", text }, { NULL, NULL } };

    return play_file_read("a.play", read_disk, disk, file, problem);
}

static void
steps_hold_their_indented_lines_and_numbers(void **state)
{
    struct play_file file;
    char problem[512];

    (void)state;
    assert_int_equal(read_text("# a comment\n\nalice > SUBSCRIBE sip:b@c\n    Event: x\n\n  # no\n"
                               "    |body  \r\nwait 5s\n",
                               &file, problem),
                     HD_OK);
    assert_int_equal(file.n, 2);
    assert_int_equal(file.steps[0].number, 3);
    assert_int_equal(file.steps[0].n_words, 4);
    assert_int_equal(file.steps[0].n_lines, 2);
    assert_int_equal(file.steps[0].lines[0].number, 4);
    assert_true(hd_slice_eq(file.steps[0].lines[0].text, HD_LIT("Event: x")));
    assert_true(hd_slice_eq(file.steps[0].lines[1].text, HD_LIT("|body  ")));
    assert_int_equal(file.steps[1].number, 8);
    play_file_done(&file);
}

static void
repeats_know_their_ends(void **state)
{
    struct play_file file;
    char problem[512];

    (void)state;
    assert_int_equal(read_text("repeat 2\nrepeat 3\nx\nend\nend\n", &file, problem), HD_OK);
    assert_int_equal(file.steps[0].partner, 4);
    assert_int_equal(file.steps[4].partner, 0);
    assert_int_equal(file.steps[1].partner, 3);
    assert_int_equal(file.steps[3].partner, 1);
    play_file_done(&file);
}

static void
mistakes_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *problem;
    } row[] = {
        { "  x: y\n", "a.play:1: an indented line without a step above it: x: y" },
        { "a \"b\n", "a.play:1: a quote is not closed: a \"b" },
        { "x\nend\n", "a.play:2: end without repeat" },
        { "x\nrepeat 2\ny\n", "a.play:2: repeat without end" },
        { "include\n", "a.play:1: expected: include FILE: include" },
        { "\ninclude none\n", "a.play:2: cannot read the file: none" },
        { "include a.play\n", "a.play:1: includes nest too deep: a.play" },
    };
    struct play_file file;
    char problem[512];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        assert_int_not_equal(read_text(row[i].text, &file, problem), HD_OK);
        assert_string_equal(problem, row[i].problem);
    }
}

static void
an_included_file_stands_in_the_place_of_its_line(void **state)
{
    struct disk disk[] = { { "dir/a.play", "one\ninclude sub/b.play\n  # between\nfour\n" },
                           { "dir/sub/b.play", "two\n  Line: 1\nthree\n" },
                           { NULL, NULL } };
    struct play_file file;
    char problem[512];

    (void)state;
    assert_int_equal(play_file_read("dir/a.play", read_disk, disk, &file, problem), HD_OK);
    assert_int_equal(file.n, 4);
    assert_string_equal(file.steps[1].path, "dir/sub/b.play");
    assert_int_equal(file.steps[1].n_lines, 1);
    assert_string_equal(file.steps[3].path, "dir/a.play");
    assert_int_equal(file.steps[3].number, 4);
    play_file_done(&file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_hold_their_indented_lines_and_numbers),
        cmocka_unit_test(repeats_know_their_ends),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(an_included_file_stands_in_the_place_of_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
