/*
 * route.c - how long it takes to find a route among 10 and among 10,000 apps, for each kind of route.
 *
 *     cc -O2 -std=gnu11 -D_GNU_SOURCE -Isrc/base -o build/route tests/bench/route.c src/base/*.c -linih
 *     build/route [APPS]...
 *
 * Prints a line for each number of apps and kind: APPS KIND NANOSECONDS, where the time is that of one
 * look-up with the canonical form of its path, as a mean over all apps in a scattered order, the best
 * of ROUNDS; and one for the time that loading took: APPS load MILLISECONDS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

enum { LOOKUPS = 200000, ROUNDS = 5, KINDS = 8 };

/* The number of the app goes in where %d is. */
static const struct kind {
    const char *name, *file, *route;
    const char *host, *path, *cookie;
} kinds[KINDS] = {
    {"host", "h%d", "host = app%d.example.com", "app%d.example.com", "/", NULL},
    {"host-deep-path", "d%d", "host = deep%d.example.com", "deep%d.example.com",
     "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r", NULL},
    {"wildcard", "w%d", "host = *.wild%d.example.com", "x.y.wild%d.example.com", "/", NULL},
    {"path", "p%d", "host = paths.example.com\npath = /apps/app%d", "paths.example.com",
     "/apps/app%d/index.html", NULL},
    {"cookie", "c%d", "host = cookies.example.com\ncookie = instance=minion-%d",
     "cookies.example.com", "/", "minion-%d"},
    {"template-host", "t%d@", "host = %%i.t%d.example.com", "box.t%d.example.com", "/", NULL},
    {"template-path", "s%d@", "host = s.example.com\npath = /s%d/%%i", "s.example.com",
     "/s%d/box/x", NULL},
    {"none", "n%d", "path = /only%d", "unknown.example.org", "/not-%d", NULL},
};

static char folder[] = "/tmp/dockwake-bench-XXXXXX";

/* The template with its number; the result is valid until the fourth call after. */
static const char *fill(const char *template, int number) {
    static char texts[4][256];
    static unsigned next;
    char *text = texts[next++ % 4];
    const char *at = strstr(template, "%d");
    size_t len = 0;

    for (const char *p = template; *p != '\0' && len < 200; p++) {
        if (p == at) {
            len += (size_t)sprintf(text + len, "%d", number);
            p++;
        } else if (p[0] != '%' || p[1] != '%') {
            text[len++] = *p;
        }
    }
    text[len] = '\0';
    return text;
}

static void write_apps(int n, int remove) {
    char path[256];

    for (int i = 0; i < n; i++) {
        const struct kind *kind = &kinds[i % KINDS];
        FILE *file;

        snprintf(path, sizeof(path), "%s/apps.d/%s.ini", folder, fill(kind->file, i));
        if (remove) {
            unlink(path);
            continue;
        }
        file = fopen(path, "we");
        if (file == NULL) {
            perror(path);
            exit(1);
        }
        fprintf(file, "[route]\n%s\n", fill(kind->route, i));
        fclose(file);
    }
}

static const char *cookie(void *user, const char *name, size_t *ret_len) {
    const char *value = user;

    (void)name;
    *ret_len = value != NULL ? strlen(value) : 0;
    return value;
}

/* What is asked for: made beforehand, so that only the looking up is measured. */
struct question {
    char host[64], path[128], cookie[64];
};

static double measure(const struct config *config, const struct kind *kind,
                      const struct question *questions, size_t n) {
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        usec_t begin = now_usec(CLOCK_MONOTONIC);
        size_t found = 0;
        double ns;

        for (size_t i = 0; i < LOOKUPS; i++) {
            const struct question *q = &questions[i * 7919 % n];
            char path[CONFIG_PATH_MAX];
            struct config_request request = {
                .host = q->host, .host_len = strlen(q->host), .path = path};
            struct config_route route;

            request.path_len = (size_t)config_path_canonical(q->path, strlen(q->path), path);
            request.cookie = cookie;
            request.user = kind->cookie != NULL ? (void *)q->cookie : NULL;
            config_find(config, &request, &route);
            found += route.found == CONFIG_FOUND_APP;
        }
        ns = (double)(now_usec(CLOCK_MONOTONIC) - begin) * 1000 / LOOKUPS;
        best = ns < best ? ns : best;
        if (found != (strcmp(kind->name, "none") == 0 ? 0 : LOOKUPS)) {
            fprintf(stderr, "%s: %zu of %d found\n", kind->name, found, LOOKUPS);
            exit(1);
        }
    }
    return best;
}

static void bench(int n_apps) {
    struct question *questions = calloc((size_t)n_apps / KINDS + 1, sizeof(*questions));
    struct config_errors errors = {0};
    struct config_paths paths;
    struct config *config;
    char file[4096];
    char apps[4096];
    usec_t begin;

    write_apps(n_apps, 0);
    config_paths_init(folder, file, apps, &paths);
    begin = now_usec(CLOCK_MONOTONIC);
    if (questions == NULL || config_load(&paths, &errors, &config) < 0 || errors.n > 0) {
        fprintf(stderr, "cannot load: %s\n", errors.n > 0 ? errors.items[0].text : "?");
        exit(1);
    }
    printf("%d load %.1f\n", n_apps, (double)(now_usec(CLOCK_MONOTONIC) - begin) / 1000);
    for (int k = 0; k < KINDS; k++) {
        size_t n = 0;

        for (int i = k; i < n_apps; i += KINDS) {
            struct question *q = &questions[n++];

            strcpy(q->host, fill(kinds[k].host, i));
            strcpy(q->path, fill(kinds[k].path, i));
            strcpy(q->cookie, kinds[k].cookie != NULL ? fill(kinds[k].cookie, i) : "");
        }
        printf("%d %s %.0f\n", n_apps, kinds[k].name, measure(config, &kinds[k], questions, n));
    }
    config_free(config);
    free(questions);
    write_apps(n_apps, 1);
}

int main(int argc, char **argv) {
    static const char *const usual[] = {"10", "10000"};
    int n = argc > 1 ? argc - 1 : 2;
    char apps[64];

    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    snprintf(apps, sizeof(apps), "%s/apps.d", folder);
    mkdir(apps, 0755);
    for (int i = 0; i < n; i++) {
        bench(atoi(argc > 1 ? argv[i + 1] : usual[i]));
    }
    rmdir(apps);
    rmdir(folder);
    return 0;
}
