/*
 * table_adopt.c - puts another configuration in force: see table.h.
 *
 * First a plan is made of all apps that there will be, then their containers and the apps themselves
 * are taken from the old table or made, and only then the old ones are let go, while their names,
 * which belong to the old configuration, are still there.
 */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "container.h"
#include "table.h"

/* What the table will have: an app of the configuration, or an instance with its own. */
struct planned {
    const struct config_app *config;
    struct config_app *own;
    bool labelled;
};

struct plan {
    size_t n;
    struct planned *items;
};

static void plan_done(struct plan *plan) {
    for (size_t i = 0; i < plan->n; i++)
        config_instance_free(plan->items[i].own);
    free(plan->items);
}

static int plan_member(struct plan *plan, const struct config *config, const char *name) {
    struct config_app *own;
    int r = config_instance_new(config, name, &own);

    if (r == 0)
        plan->items[plan->n++] = (struct planned){.config = own, .own = own};
    return r;
}

/* An instance goes on if it is still one, and of the same container. */
static int plan_instance(struct plan *plan, const struct config *config, const struct app *app) {
    const struct config_app *stem = table_stem(config, app->config->name);
    struct config_app *own;
    int r;

    if (!stem || !stem->is_template || stem->broken)
        return 0;
    r = config_instance_new(config, app->config->name, &own);
    if (r < 0)
        return r;
    if (strcmp(own->container, app->container->name) == 0)
        plan->items[plan->n++] = (struct planned){.config = own, .own = own, .labelled = true};
    else
        config_instance_free(own);
    return 0;
}

static int plan_app(struct plan *plan, const struct config *config, const struct config_app *app) {
    char name[PROTO_NAME_MAX];
    int r = 0;

    if (app->broken || (!app->is_template && app->members.n == 0)) {
        plan->items[plan->n++] = (struct planned){.config = app};
        return 0;
    }
    for (size_t i = 0; r == 0 && i < app->members.n; i++) {
        snprintf(name, sizeof(name), "%.*s@%zu", CONFIG_NAME_MAX, app->name, i + 1);
        r = plan_member(plan, config, name);
    }
    return r;
}

static int compare_planned(const void *a, const void *b) {
    return strcmp(((const struct planned *)a)->config->name,
                  ((const struct planned *)b)->config->name);
}

/* All apps of the configuration, and those instances of templates that go on, in order of name. */
static int plan_make(const struct engine *engine, const struct config *config,
                     struct plan *ret_plan) {
    size_t n = engine->n_instances + 1;
    struct plan plan = {0};
    int r = 0;

    for (size_t i = 0; i < config->n_apps; i++)
        n += 1 + config->apps[i]->members.n;
    plan.items = calloc(n, sizeof(*plan.items));
    if (!plan.items)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < config->n_apps; i++)
        r = plan_app(&plan, config, config->apps[i]);
    for (size_t i = 0; r == 0 && i < engine->n_apps; i++)
        if (engine->apps[i]->labelled)
            r = plan_instance(&plan, config, engine->apps[i]);
    if (r < 0) {
        plan_done(&plan);
        return r;
    }
    qsort(plan.items, plan.n, sizeof(*plan.items), compare_planned);
    *ret_plan = plan;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A broken app's container may be unknown; it is never touched. */
static const char *container_name(const struct config_app *config) {
    return config->container && !config->broken ? config->container : config->name;
}

/* The containers that the plan names, each once, sorted; those that are known already are kept. */
static int plan_containers(struct engine *engine, const struct plan *plan,
                           struct container ***ret_containers, size_t *ret_n) {
    auto_free const char **names = calloc(plan->n + 1, sizeof(*names));
    struct container **containers = calloc(plan->n + 1, sizeof(*containers));
    size_t n = 0;
    int r;

    if (!names || !containers) {
        free(containers);
        return -ENOMEM;
    }
    for (size_t i = 0; i < plan->n; i++)
        names[i] = container_name(plan->items[i].config);
    qsort(names, plan->n, sizeof(*names), compare_names);
    for (size_t i = 0; i < plan->n; i++) {
        struct container *known;

        if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            continue;
        known = engine_find_container(engine, names[i]);
        if (known) {
            known->n_apps = 0;
            containers[n++] = known;
            continue;
        }
        r = container_new(engine, names[i], &containers[n]);
        if (r < 0) { /* the caller ends the process: nothing is taken back */
            free(containers);
            return r;
        }
        n++;
    }
    *ret_containers = containers;
    *ret_n = n;
    return 0;
}

static int compare_container(const void *name, const void *element) {
    return strcmp(name, (*(struct container *const *)element)->name);
}

/* The app that goes on, or a new one. */
static int plan_take(struct engine *engine, const struct planned *planned,
                     struct container **containers, size_t n, struct app **ret_app) {
    struct app *known = engine_find_app(engine, planned->config->name);
    struct container **found = bsearch(container_name(planned->config), containers, n,
                                       sizeof(struct container *), compare_container);

    if (!known || known->container != *found)
        return app_new(engine, planned->config, *found, ret_app);
    known->kept = true;
    *ret_app = known;
    return container_add_app(*found, known);
}

int table_adopt(struct engine *engine, struct config *config) {
    struct container **containers, **old_containers = engine->containers;
    struct app **apps, **old_apps = engine->apps;
    size_t n_containers, n_old = engine->n_apps, n_old_containers = engine->n_containers;
    struct plan plan;
    int r = plan_make(engine, config, &plan);

    if (r < 0)
        return r;
    apps = calloc(plan.n + 1, sizeof(*apps));
    r = apps ? plan_containers(engine, &plan, &containers, &n_containers) : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < plan.n; i++)
        r = plan_take(engine, &plan.items[i], containers, n_containers, &apps[i]);
    if (r < 0) { /* the caller ends the process: what has been made is not taken back */
        plan_done(&plan);
        free(apps);
        return r;
    }

    /* From here on nothing fails. What ends is told while its old names are still there. */
    for (size_t i = 0; i < n_old; i++)
        if (!old_apps[i]->kept)
            app_free(old_apps[i]);
    engine->n_instances = 0;
    for (size_t i = 0; i < plan.n; i++) {
        config_instance_free(apps[i]->own);
        apps[i]->config = plan.items[i].config;
        apps[i]->own = take_ptr(plan.items[i].own);
        apps[i]->labelled = plan.items[i].labelled;
        apps[i]->kept = false;
        engine->n_instances += apps[i]->labelled;
    }
    engine->apps = apps;
    engine->n_apps = plan.n;
    engine->containers = containers;
    engine->n_containers = n_containers;
    for (size_t i = 0; i < n_old_containers; i++)
        if (engine_find_container(engine, old_containers[i]->name) != old_containers[i])
            container_free(old_containers[i]);
    for (size_t i = 0; i < n_containers; i++)
        container_recount(containers[i]);
    plan_done(&plan);
    free(old_apps);
    free(old_containers);
    config_free(engine->config);
    engine->config = config;
    return 0;
}
