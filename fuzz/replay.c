/* replay.c - runs the files of corpus folders through a fuzz target, so that each corpus is a
 * regression test with any compiler.  Usage: TARGET FOLDER... */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
replay_file(const char *folder, const char *name)
{
    char path[4096];
    const int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return false;
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    static uint8_t data[1 << 20];
    const size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    /* Named before it runs, so that a crash says which file it was. */
    printf("%s: %zu octets\n", path, size);
    fflush(stdout);
    return LLVMFuzzerTestOneInput(data, size) == 0;
}

int
main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 1;
        }
        const struct dirent *entry;
        while ((entry = readdir(folder)) != NULL) {
            if (entry->d_name[0] == '.')
                continue;
            if (!replay_file(argv[i], entry->d_name))
                return 1;
            count++;
        }
        closedir(folder);
    }
    printf("%u files\n", count);
    return count ? 0 : 1;
}
