/*
 * replay.c - runs a fuzz target over files, without libFuzzer. Output: TAP.
 *
 *     build/check/fuzz/NAME           the seeds of the target
 *     build/check/fuzz/NAME FILE...   these, a finding for example
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

enum { REPLAY_MAX = 1 << 20 };

static int replay(const char *path) {
    static uint8_t buffer[REPLAY_MAX];
    FILE *file = fopen(path, "re");
    char *data;
    size_t size;

    if (file == NULL) {
        printf("not ok - %s\n# cannot be read: %m\n", path);
        return 1;
    }
    size = fread(buffer, 1, sizeof(buffer), file);
    fclose(file);
    data = fuzz_copy(buffer, size);
    LLVMFuzzerTestOneInput((uint8_t *)data, size);
    free(data);
    printf("ok - %s\n", path);
    fflush(stdout);
    return 0;
}

static int is_seed(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int replay_seeds(const char *target) {
    char folder[256];
    struct dirent **seeds;
    int n, failed = 0;

    snprintf(folder, sizeof(folder), "tests/fuzz/seeds/%s", target);
    n = scandir(folder, &seeds, is_seed, alphasort);
    if (n <= 0) {
        printf("not ok - %s\n# has no seeds, seen from here\n", folder);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", folder, seeds[i]->d_name);
        failed |= replay(path);
        free(seeds[i]);
    }
    free(seeds);
    return failed;
}

int main(int argc, char *argv[]) {
    int failed = 0;

    if (argc == 1) {
        return replay_seeds(basename(argv[0]));
    }
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i]);
    }
    return failed;
}
