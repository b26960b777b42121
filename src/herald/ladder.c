/* ladder.c - draws columns and arrows.  What came from peers was escaped before. */
#include "herald/ladder.h"

#include <string.h>

#include "base/err.h"

#define PART_WIDTH 34 /* characters between two columns */
#define TIME_WIDTH 14

/* A line with a text above each column. */
static void
head_line(const struct ladder *ladder, const char *server, const char *const *texts, FILE *to)
{
    fprintf(to, "%-*s", TIME_WIDTH, "");
    for (size_t column = 0; column <= ladder->n; column++) {
        const char *text = column == 1 ? server : texts[column ? column - 1 : 0];
        if (!text)
            text = "";
        if (column < ladder->n)
            fprintf(to, "%-*.*s", PART_WIDTH, PART_WIDTH - 1, text);
        else
            fprintf(to, "%s\n", text);
    }
}

void
ladder_head(const struct ladder *ladder, FILE *to)
{
    bool addresses = false;

    head_line(ladder, ladder->server, ladder->names, to);
    for (size_t i = 0; i < ladder->n; i++)
        addresses = addresses || (ladder->addresses[i] && ladder->addresses[i][0]);
    if (addresses)
        head_line(ladder, "", ladder->addresses, to);
}

/* Column i of the picture: the first part, the server, the other parts. */
static size_t
column_of(size_t part)
{
    return part == 0 ? 0 : part + 1;
}

#define ROW_MAX ((LADDER_PARTS + 1) * PART_WIDTH + 2)

/* A row without anything but the columns; returns its width. */
static size_t
row_begin(const struct ladder *ladder, char row[ROW_MAX])
{
    const size_t width = ladder->n * PART_WIDTH + 1;

    HD_ASSERT(ladder->n > 0 && ladder->n <= LADDER_PARTS);
    memset(row, ' ', width);
    row[width] = '\0';
    for (size_t column = 0; column <= ladder->n; column++)
        row[column * PART_WIDTH] = '|';
    return width;
}

void
ladder_step(const struct ladder *ladder, const struct ladder_step *step, FILE *to)
{
    char row[ROW_MAX];
    size_t part = column_of(step->part) * PART_WIDTH, server = PART_WIDTH;
    size_t left = part < server ? part : server, right = part < server ? server : part;
    bool rightwards = step->out == (part < server);

    row_begin(ladder, row);
    for (size_t i = left + 1; i < right; i++)
        row[i] = '-';
    row[rightwards ? right - 1 : left + 1] = rightwards ? '>' : '<';
    size_t room = right - left - 7, n = strlen(step->summary);
    /* Only the method or the status stands on the arrow; what is long goes to its right. */
    const char *end = strchr(step->summary, ' ');
    size_t word = end ? (size_t)(end - step->summary) : n;
    if (step->summary[0] >= '1' && step->summary[0] <= '6')
        word = strcspn(step->summary, "(");
    while (word && step->summary[word - 1] == ' ')
        word--;
    word = word > room ? room : word;
    row[left + 3] = ' ';
    memcpy(row + left + 4, step->summary, word);
    row[left + 4 + word] = ' ';
    fprintf(to, "%-12.12s  %s  %s%s\n", step->time, row, step->summary + word + (n > word),
            step->again ? "  (again)" : "");
}

void
ladder_note(const struct ladder *ladder, const char *time, const char *words, FILE *to)
{
    char row[ROW_MAX];

    row_begin(ladder, row);
    row[PART_WIDTH] = '*';
    fprintf(to, "%-12.12s  %s  * %s\n", time, row, words);
}

void
ladder_message(const char *message, FILE *to)
{
    while (message && *message) {
        size_t n = strcspn(message, "\n");
        fprintf(to, "%-*s%.*s\n", TIME_WIDTH + 4, "", (int)n, message);
        message += n + (message[n] == '\n');
    }
}
