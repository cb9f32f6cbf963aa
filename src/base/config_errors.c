/* config_errors.c - what was wrong, kept until somebody prints it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "log.h"

enum { TEXT_MAX = 1024 };

int config_complain(struct config_place *place, const char *format, ...) {
    struct config_errors *errors = place->errors;
    struct config_error error = {.line = place->line};
    char text[TEXT_MAX];
    va_list ap;

    place->n_complaints++;
    if (errors->n == CONFIG_ERRORS_MAX) {
        errors->dropped++;
        return 0;
    }
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);

    /* Grown by powers of two, which the count itself tells. */
    if ((errors->n & (errors->n - 1)) == 0) {
        size_t n = errors->n == 0 ? 1 : errors->n * 2;
        struct config_error *items = reallocarray(errors->items, n, sizeof(*items));

        if (items == NULL) {
            return -ENOMEM;
        }
        errors->items = items;
    }
    error.file = strdup(place->file);
    error.text = strdup(text);
    if (error.file == NULL || error.text == NULL) {
        free(error.file);
        free(error.text);
        return -ENOMEM;
    }
    errors->items[errors->n++] = error;
    return 0;
}

/* Insertion sort: stable, and what comes in is nearly in order. */
void config_errors_sort(struct config_errors *errors, size_t first) {
    for (size_t i = first + 1; i < errors->n; i++) {
        struct config_error error = errors->items[i];
        size_t j = i;

        for (; j > first && errors->items[j - 1].line > error.line; j--) {
            errors->items[j] = errors->items[j - 1];
        }
        errors->items[j] = error;
    }
}

void config_errors_done(struct config_errors *errors) {
    for (size_t i = 0; i < errors->n; i++) {
        free(errors->items[i].file);
        free(errors->items[i].text);
    }
    free(errors->items);
    *errors = (struct config_errors){0};
}

void config_errors_log(const struct config_errors *errors) {
    for (size_t i = 0; i < errors->n; i++) {
        const struct config_error *e = &errors->items[i];

        if (e->line > 0) {
            log_error("%s:%u: %s", e->file, e->line, e->text);
        } else {
            log_error("%s: %s", e->file, e->text);
        }
    }
    if (errors->dropped > 0) {
        log_error("and %zu more errors", errors->dropped);
    }
}
