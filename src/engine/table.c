/* table.c - see table.h. */
#include "table.h"

#include <stdio.h>
#include <string.h>

#include "app.h"
#include "client.h"
#include "container.h"
#include "log.h"

/* --- finding -------------------------------------------------------------------------------- */

/* The place of the first app that is not before the name. */
static size_t app_place(const struct engine *engine, const char *name) {
    size_t low = 0, high = engine->n_apps;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(engine->apps[middle]->config->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same among containers. */
static size_t container_place(const struct engine *engine, const char *name) {
    size_t low = 0, high = engine->n_containers;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(engine->containers[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct app *engine_find_app(const struct engine *engine, const char *name) {
    size_t at = app_place(engine, name);

    if (at == engine->n_apps || strcmp(engine->apps[at]->config->name, name) != 0)
        return NULL;
    return engine->apps[at];
}

struct container *engine_find_container(const struct engine *engine, const char *name) {
    size_t at = container_place(engine, name);

    if (at == engine->n_containers || strcmp(engine->containers[at]->name, name) != 0)
        return NULL;
    return engine->containers[at];
}

/* --- names ---------------------------------------------------------------------------------- */

const struct config_app *table_stem(const struct config *config, const char *name) {
    size_t len = strcspn(name, "@");
    char stem[PROTO_NAME_MAX];

    if (len >= sizeof(stem))
        return NULL;
    memcpy(stem, name, len);
    stem[len] = '\0';
    return config_app_by_name(config, stem);
}

int table_check_instance(const struct engine *engine, const char *name) {
    const struct config_app *stem = table_stem(engine->config, name);
    const char *at = strchr(name, '@');

    if (!stem)
        return -ENOENT;
    if (!at || !config_instance_ok(at + 1, strlen(at + 1)))
        return -EINVAL;
    if (stem->broken)
        return -ENOEXEC;
    return stem->is_template ? 0 : -ENOENT;
}

static bool scope_has(const char *scope, const char *name) {
    size_t len = strlen(scope);

    if (len > 0 && scope[len - 1] == '@')
        return strncmp(name, scope, len) == 0;
    return len == 0 || strcmp(name, scope) == 0;
}

struct app *table_next(const struct engine *engine, const char *scope, const char *after) {
    const char *from = strcmp(after, scope) > 0 ? after : scope;
    size_t at = app_place(engine, from);

    if (at < engine->n_apps && strcmp(engine->apps[at]->config->name, after) == 0)
        at++;
    if (at == engine->n_apps || !scope_has(scope, engine->apps[at]->config->name))
        return NULL;
    return engine->apps[at];
}

bool table_is_template(const struct engine *engine, const char *scope) {
    const struct config_app *stem = table_stem(engine->config, scope);
    size_t len = strlen(scope);

    return stem && stem->is_template && len > 0 && scope[len - 1] == '@';
}

int table_scope(struct engine *engine, const char *name, char ret_scope[static TABLE_SCOPE_MAX]) {
    const struct config_app *config = config_app_by_name(engine->config, name);
    bool many = config && !config->broken && (config->is_template || config->members.n > 0);
    struct app *app;
    int r = many ? 0 : table_get(engine, name, &app);

    if (r == 0)
        snprintf(ret_scope, TABLE_SCOPE_MAX, "%s%s", name, many ? "@" : "");
    return r;
}

/* --- instances ------------------------------------------------------------------------------ */

/* Both arrays are arrays of pointers. Returns the array, or NULL when out of memory. */
static void *array_insert(void *array, size_t n, size_t at, const void *item) {
    char *grown = reallocarray(array, n + 1, sizeof(item));

    if (!grown)
        return NULL;
    memmove(grown + (at + 1) * sizeof(item), grown + at * sizeof(item), (n - at) * sizeof(item));
    memcpy(grown + at * sizeof(item), &item, sizeof(item));
    return grown;
}

static void array_remove(void *array, size_t n, size_t at) {
    char *place = (char *)array + at * sizeof(void *);

    memmove(place, place + sizeof(void *), (n - at - 1) * sizeof(void *));
}

static void container_drop(struct container *container) {
    struct engine *engine = container->engine;
    size_t at = container_place(engine, container->name);

    array_remove(engine->containers, engine->n_containers--, at);
    container_free(container);
}

static int container_get(struct engine *engine, const char *name,
                         struct container **ret_container) {
    size_t at = container_place(engine, name);
    struct container *container = engine_find_container(engine, name), **grown;
    int r;

    if (container) {
        *ret_container = container;
        return 0;
    }
    r = container_new(engine, name, &container);
    if (r < 0)
        return r;
    grown = array_insert(engine->containers, engine->n_containers, at, container);
    if (!grown) {
        container_free(container);
        return -ENOMEM;
    }
    engine->containers = grown;
    engine->n_containers++;
    *ret_container = container;
    return 0;
}

static int instance_new(struct engine *engine, struct config_app *own, struct app **ret_app) {
    size_t at = app_place(engine, own->name);
    struct container *container;
    struct app *app, **grown;
    int r;

    r = container_get(engine, own->container, &container);
    if (r < 0)
        return r;
    r = app_new(engine, own, container, &app);
    if (r < 0)
        goto fail;
    grown = array_insert(engine->apps, engine->n_apps, at, app);
    if (!grown) {
        container_remove_app(container, app);
        app_free(app);
        r = -ENOMEM;
        goto fail;
    }
    engine->apps = grown;
    engine->n_apps++;
    engine->n_instances++;
    app->own = own;
    app->labelled = true;
    *ret_app = app;
    return 0;

fail:
    if (container->n_apps == 0)
        container_drop(container);
    return r;
}

int table_get(struct engine *engine, const char *name, struct app **ret_app) {
    struct app *app = engine_find_app(engine, name);
    struct config_app *own;
    int r;

    if (app) {
        *ret_app = app;
        return 0;
    }
    r = table_check_instance(engine, name);
    if (r < 0)
        return r;
    if (engine->n_instances >= TABLE_INSTANCES_MAX)
        return -EUSERS;
    r = config_instance_new(engine->config, name, &own);
    if (r < 0)
        return r;
    r = instance_new(engine, own, &app);
    if (r < 0) {
        config_instance_free(own);
        return r;
    }
    log_debug("app %s: made", name);
    table_suspect(app); /* whoever wants it says so now */
    *ret_app = app;
    return 0;
}

void table_notice(struct engine *engine, const char *container, const char *label) {
    const struct config_app *config = config_app_by_name(engine->config, label);
    const char *mark =
        config && config->is_template && !config->broken ? strstr(config->container, "%i") : NULL;
    size_t len = strlen(container), before, after;
    char name[PROTO_NAME_MAX];
    struct app *app;
    int r;

    if (!mark)
        return;
    before = (size_t)(mark - config->container);
    after = strlen(mark + 2);
    if (len < before + after || len - before - after > CONFIG_NAME_MAX ||
        strncmp(container, config->container, before) != 0 ||
        strcmp(container + len - after, mark + 2) != 0)
        return;
    snprintf(name, sizeof(name), "%.*s@%.*s", CONFIG_NAME_MAX, config->name,
             (int)(len - before - after), container + before);
    r = table_get(engine, name, &app);
    if (r < 0) {
        if (r != -EINVAL)
            log_warning("app %s: awake, and cannot be looked after: %s", name,
                        r == -EUSERS ? "too many instances" : strerror(-r));
        return;
    }
    if (!app->looked)
        container_look(app->container);
}

void table_suspect(struct app *app) {
    if (!app->labelled || app->suspect)
        return;
    app->suspect = true;
    TAILQ_INSERT_TAIL(&app->engine->suspects, app, in_suspects);
}

/* Nothing is known of it that anybody would miss. */
static bool app_is_useless(const struct app *app) {
    const struct container *c = app->container;

    if (app->n_leases > 0 || app->demanded || !TAILQ_EMPTY(&app->watchers) || c->inspect)
        return false;
    return !app_is_admitted(app) || (c->state < CONTAINER_STARTING && !c->call);
}

void table_sweep(struct engine *engine) {
    struct app *app;

    while ((app = TAILQ_FIRST(&engine->suspects))) {
        struct container *container = app->container;

        TAILQ_REMOVE(&engine->suspects, app, in_suspects);
        app->suspect = false;
        if (!app_is_useless(app))
            continue;
        log_debug("app %s: freed", app->config->name);
        array_remove(engine->apps, engine->n_apps, app_place(engine, app->config->name));
        engine->n_apps--;
        engine->n_instances--;
        container_remove_app(container, app);
        app_free(app);
        if (container->n_apps == 0)
            container_drop(container);
        else
            container_recount(container);
    }
}

void table_free(struct engine *engine) {
    for (size_t i = 0; i < engine->n_apps; i++)
        app_free(engine->apps[i]);
    for (size_t i = 0; i < engine->n_containers; i++)
        container_free(engine->containers[i]);
    free(engine->apps);
    free(engine->containers);
}
