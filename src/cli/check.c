/* check.c - `dockwake check`: reads the configuration and prints all that is wrong with it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "config.h"
#include "output.h"

static json_t *errors_json(const struct config_errors *errors) {
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < errors->n; i++) {
        const struct config_error *error = &errors->items[i];

        if (json_array_append_new(
                list, json_pack("{s:o, s:I, s:o}", "file", output_text_json(error->file), "line",
                                (json_int_t)error->line, "text", output_text_json(error->text))) <
            0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void print_text(const struct config *config, const struct config_errors *errors) {
    for (size_t i = 0; i < errors->n; i++) {
        const struct config_error *error = &errors->items[i];

        output_clean(error->file);
        output_clean(error->text);
        if (error->line > 0) {
            printf("%s:%u: %s\n", error->file, error->line, error->text);
        } else {
            printf("%s: %s\n", error->file, error->text);
        }
    }
    if (errors->dropped > 0) {
        printf("and %zu more errors\n", errors->dropped);
    }
    if (errors->n == 0) {
        printf("%zu app%s, no errors\n", config->n_apps, config->n_apps == 1 ? "" : "s");
    }
}

int cli_check(const struct cli_options *options) {
    struct config_errors errors = {0};
    struct config *config = NULL;
    struct config_paths paths;
    char file[4096];
    char apps[4096];
    struct stat st;
    int r = config_paths_init(options->config_dir, file, apps, &paths);

    /* A folder that is named must be there: otherwise a typing error would be a clean check. */
    if (r == 0 && options->config_dir != NULL && stat(options->config_dir, &st) < 0) {
        r = -errno;
    }
    if (r == 0) {
        r = config_load(&paths, &errors, &config);
    }
    if (r < 0) {
        cli_error("the configuration in %s cannot be read: %s",
                  options->config_dir != NULL ? options->config_dir : CONFIG_APPS, strerror(-r));
        config_errors_done(&errors);
        return CLI_FAILED;
    }
    assert(config != NULL); /* config_load()'s promise */
    r = CLI_OK;
    if (options->json) {
        r = output_json(json_pack("{s:I, s:I, s:o}", "apps", (json_int_t)config->n_apps,
                                  "errors_total", (json_int_t)errors.n + (json_int_t)errors.dropped,
                                  "errors", errors_json(&errors)));
    } else {
        print_text(config, &errors);
    }
    if (errors.n > 0) {
        r = CLI_FAILED;
    }
    config_free(config);
    config_errors_done(&errors);
    return r;
}
