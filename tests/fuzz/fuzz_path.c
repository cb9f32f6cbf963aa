/*
 * Paths in the form in which routes are compared (config_path_canonical): no longer than before,
 * already canonical, and without a segment that somebody might resolve.
 */
#include <string.h>

#include "config.h"
#include "fuzz.h"

static void check_segments(const char *path, size_t len) {
    const char *end = path + len;

    for (const char *segment = path; segment < end;) {
        const char *slash = memchr(segment, '/', (size_t)(end - segment));
        size_t n = (size_t)((slash != NULL ? slash : end) - segment);

        CHECK(!(n == 1 && segment[0] == '.'));
        CHECK(!(n == 2 && segment[0] == '.' && segment[1] == '.'));
        segment += n + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char path[CONFIG_PATH_MAX], again[CONFIG_PATH_MAX];
    int n = config_path_canonical((const char *)bytes, size, path);

    if (n < 0) {
        CHECK(n == -ENAMETOOLONG || n == -EINVAL);
        return 0;
    }
    CHECK(n >= 1 && (size_t)n <= (size > 0 ? size : 1) && n <= CONFIG_PATH_MAX);
    CHECK(path[0] == '/');
    check_segments(path, (size_t)n);
    CHECK(config_path_canonical(path, (size_t)n, again) == n);
    CHECK(memcmp(path, again, (size_t)n) == 0);
    return 0;
}
