/*
 * config_app.c - one app: its copies, its instances, and whether its keys fit together.
 *
 * What an app owns is listed once, in the tables below: copying and freeing go through them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "config_kinds.h"
#include "util.h"

#define AT(m) offsetof(struct config_app, m)

static const size_t strings[] = {
    AT(file),         AT(container), AT(network),       AT(path),  AT(cookie_name),
    AT(cookie_value), AT(fallback),  AT(redirect_path), AT(title), AT(health_path),
};
static const size_t lists[] = {
    AT(members), AT(snis), AT(methods), AT(deny_user_agent), AT(deny_path),
};
static const size_t nets[] = {AT(allow_from), AT(deny_from)};

static void *member(struct config_app *app, size_t offset) {
    return (char *)app + offset;
}

static const void *member_const(const struct config_app *app, size_t offset) {
    return (const char *)app + offset;
}

void config_app_done(struct config_app *app) {
    struct config_list_of hosts = {app->n_hosts, app->hosts};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
        free(*(char **)member(app, strings[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        config_list_free(member(app, lists[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
        free(((struct config_nets *)member(app, nets[i]))->items);
    }
    config_list_free(&hosts);
    config_page_unref(app->page);
    *app = (struct config_app){0};
}

/* Into an empty one. */
static int list_copy(const struct config_list_of *from, struct config_list_of *to) {
    if (from->n == 0) {
        return 0;
    }
    to->items = calloc(from->n, sizeof(*to->items));
    if (to->items == NULL) {
        return -ENOMEM;
    }
    for (; to->n < from->n; to->n++) {
        to->items[to->n] = strdup(from->items[to->n]);
        if (to->items[to->n] == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int nets_copy(const struct config_nets *from, struct config_nets *to) {
    if (from->n == 0) {
        return 0;
    }
    to->items = calloc(from->n, sizeof(*to->items));
    if (to->items == NULL) {
        return -ENOMEM;
    }
    memcpy(to->items, from->items, from->n * sizeof(*to->items));
    to->n = from->n;
    return 0;
}

/* What an app owns is its original's until it has been copied: it must not be freed twice. */
static void disown(struct config_app *app) {
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
        *(char **)member(app, strings[i]) = NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        *(struct config_list_of *)member(app, lists[i]) = (struct config_list_of){0};
    }
    for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
        *(struct config_nets *)member(app, nets[i]) = (struct config_nets){0};
    }
    app->n_hosts = 0;
    app->hosts = NULL;
}

int config_app_copy(const struct config_app *app, struct config_app *ret_copy) {
    struct config_app copy = *app;
    struct config_list_of hosts = {0};
    int r;

    disown(&copy);
    config_page_ref(copy.page);
    r = list_copy(&(struct config_list_of){app->n_hosts, app->hosts}, &hosts);
    copy.n_hosts = hosts.n;
    copy.hosts = hosts.items;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(strings); i++) {
        const char *string = *(char *const *)member_const(app, strings[i]);
        char **to = member(&copy, strings[i]);

        if (string != NULL) {
            *to = strdup(string);
            r = *to != NULL ? 0 : -ENOMEM;
        }
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
        r = list_copy(member_const(app, lists[i]), member(&copy, lists[i]));
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(nets); i++) {
        r = nets_copy(member_const(app, nets[i]), member(&copy, nets[i]));
    }
    if (r < 0) {
        config_app_done(&copy);
        return r;
    }
    *ret_copy = copy;
    return 0;
}

/* --- instances ------------------------------------------------------------------------------- */

/* Puts the instance in place of the `%i`, if there is one. */
static int fill(char **text, const char *instance) {
    struct config_pattern pattern;
    char *filled;

    if (*text == NULL || !config_pattern_find(*text, strlen(*text), &pattern)) {
        return 0;
    }
    if (asprintf(&filled, "%.*s%s%s", (int)pattern.before_len, *text, instance, pattern.after) <
        0) {
        return -ENOMEM;
    }
    free(*text);
    *text = filled;
    return 0;
}

static int fill_all(struct config_app *app, const char *instance) {
    char **texts[] = {&app->container, &app->path, &app->cookie_value};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++) {
        r = fill(texts[i], instance);
    }
    for (size_t i = 0; r == 0 && i < app->n_hosts; i++) {
        r = fill(&app->hosts[i], instance);
    }
    return r;
}

/* The index of the group's member of this name, numbered from 1; -1: there is none. */
static int member_index(const struct config_app *group, const char *instance) {
    char name[24];

    for (size_t i = 0; i < group->members.n; i++) {
        snprintf(name, sizeof(name), "%zu", i + 1);
        if (strcmp(name, instance) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* A member's app has its own container and is no group. */
static int make_member(struct config_app *app, int index) {
    char *container = strdup(app->members.items[index]);

    if (container == NULL) {
        return -ENOMEM;
    }
    free(app->container);
    app->container = container;
    config_list_free(&app->members);
    return 0;
}

int config_instance_new(const struct config *config, const char *name,
                        struct config_app **ret_app) {
    const char *at = strchr(name, '@');
    const struct config_app *original;
    struct config_app *app;
    char stem[CONFIG_NAME_MAX + 1];
    int r;

    if (at == NULL || at == name || at - name > CONFIG_NAME_MAX ||
        !config_instance_ok(at + 1, strlen(at + 1))) {
        return -EINVAL;
    }
    memcpy(stem, name, (size_t)(at - name));
    stem[at - name] = '\0';
    original = config_app_by_name(config, stem);
    if (original == NULL || (!original->is_template && member_index(original, at + 1) < 0)) {
        return -ENOENT;
    }
    app = calloc(1, sizeof(*app));
    if (app == NULL) {
        return -ENOMEM;
    }
    r = config_app_copy(original, app);
    if (r == 0) {
        r = original->is_template ? fill_all(app, at + 1)
                                  : make_member(app, member_index(original, at + 1));
    }
    if (r < 0) {
        config_instance_free(app);
        return r;
    }
    app->is_template = false;
    memcpy(app->name, name, strlen(name) + 1);
    *ret_app = app;
    return 0;
}
_Static_assert(2 * CONFIG_NAME_MAX + 2 <= PROTO_NAME_MAX, "NAME@INSTANCE fits");

void config_instance_free(struct config_app *app) {
    if (app != NULL) {
        config_app_done(app);
        free(app);
    }
}

/* --- what only the whole file tells ------------------------------------------------------------ */

struct complete {
    struct config_app *app;
    const struct config_seen *seen;
    struct config_place *place;
};

/* At the line of a key of the file, or at the file as a whole. */
static int complain_at(const struct complete *c, unsigned line, const char *text) {
    c->place->line = line;
    return config_complain(c->place, "%s", text);
}

static bool has_mark(const char *text) {
    struct config_pattern pattern;

    return text != NULL && config_pattern_find(text, strlen(text), &pattern);
}

static int check_group(const struct complete *c) {
    const struct config_app *app = c->app;
    unsigned line = APP_LINE(c->seen, members);
    int r = 0;

    if (line == 0) {
        line = APP_LINE(c->seen, balance);
        return line != 0 ? complain_at(c, line, "balance: has no effect without containers") : 0;
    }
    if (APP_LINE(c->seen, container) != 0) {
        r = complain_at(c, line, "containers: cannot be given beside container");
    }
    if (r == 0 && app->address == ADDRESS_FIXED) {
        r = complain_at(c, line,
                        "containers: cannot be given beside address = HOST:PORT, which "
                        "would be the same for all of them");
    }
    if (r == 0 && app->is_template) {
        r = complain_at(c, line, "containers: cannot be given in a template");
    }
    for (size_t i = 0; r == 0 && i < app->members.n; i++) {
        for (size_t j = 0; r == 0 && j < i; j++) {
            if (strcmp(app->members.items[i], app->members.items[j]) == 0) {
                c->place->line = line;
                r = config_complain(c->place, "containers: '%.80s' is given twice",
                                    app->members.items[i]);
            }
        }
    }
    return r;
}

/* Each way to an instance must tell which one it is. */
static int check_template(const struct complete *c) {
    const struct config_app *app = c->app;
    bool marked = has_mark(app->path) || has_mark(app->cookie_value);
    bool routed = app->path != NULL || app->cookie_name != NULL || app->n_hosts > 0;
    unsigned line = APP_LINE(c->seen, hosts);
    int r = 0;

    for (size_t i = 0; r == 0 && i < app->n_hosts && !marked; i++) {
        if (!has_mark(app->hosts[i])) {
            c->place->line = line;
            r = config_complain(c->place,
                                "host: '%.80s' does not tell the instance: %%i is neither in it "
                                "nor in path or cookie",
                                app->hosts[i]);
        }
    }
    if (r == 0 && routed && !marked && line == 0) {
        line = APP_LINE(c->seen, path);
        r = complain_at(c, line != 0 ? line : APP_LINE(c->seen, cookie_name),
                        "a template's route needs %i, which tells the instance, in host, path or "
                        "cookie");
    }
    if (r == 0 && !routed && line == 0 && app->container != NULL && !has_mark(app->container)) {
        r = complain_at(c, APP_LINE(c->seen, container),
                        "container: a template needs %i, in container or in its route");
    }
    if (r == 0 && app->listen_port != 0) {
        r = complain_at(c, APP_LINE(c->seen, listen_port),
                        "port: cannot belong to a template, as it tells no instance");
    }
    if (r == 0 && app->snis.n > 0) {
        r = complain_at(c, APP_LINE(c->seen, snis),
                        "sni: cannot belong to a template, as it tells no instance");
    }
    if (r == 0 && app->is_default) {
        r = complain_at(c, APP_LINE(c->seen, is_default),
                        "default: cannot be a template, as nothing tells the instance");
    }
    if (r == 0 && app->address == ADDRESS_FIXED) {
        r = complain_at(c, APP_LINE(c->seen, address),
                        "address: HOST:PORT would be the same for all instances of a template");
    }
    return r;
}

static int check_route(const struct complete *c) {
    const struct config_app *app = c->app;
    int r = 0;

    if (app->strip_path && APP_LINE(c->seen, path) == 0) {
        r = complain_at(c, APP_LINE(c->seen, strip_path), "strip_path: has no effect without path");
    }
    if (r == 0 && app->fallback != NULL && APP_LINE(c->seen, cookie_name) == 0) {
        r = complain_at(c, APP_LINE(c->seen, fallback), "fallback: has no effect without cookie");
    }
    return r;
}

/* A default may be of no effect where the app's own file says otherwise; a key of that file not. */
static int check_wait(const struct complete *c) {
    const struct config_app *app = c->app;
    unsigned mode = APP_LINE(c->seen, wait);
    unsigned line = APP_LINE(c->seen, redirect_path);
    int r = 0;

    if (app->wait == WAIT_REDIRECT && app->redirect_path == NULL && line == 0) {
        r = complain_at(c, mode, "mode: redirect needs a redirect_path");
    }
    if (r == 0 && app->wait != WAIT_REDIRECT && line != 0) {
        r = complain_at(c, line, "redirect_path: has no effect without mode = redirect");
    }
    line = APP_LINE(c->seen, page_after);
    if (r == 0 && app->wait != WAIT_AUTO && line != 0) {
        r = complain_at(c, line, "page_after: has no effect without mode = auto");
    }
    return r;
}

static int complete_defaults(struct config_app *app) {
    if (app->silence == USEC_INFINITY) {
        app->silence = app->idle_timeout;
    }
    if (app->check == CHECK_HTTP && app->health_path == NULL) {
        app->health_path = strdup("/");
        if (app->health_path == NULL) {
            return -ENOMEM;
        }
    }
    if (app->container == NULL && app->members.n == 0 &&
        asprintf(&app->container, "%s%s", app->name, app->is_template ? "-%i" : "") < 0) {
        app->container = NULL;
        return -ENOMEM;
    }
    return 0;
}

int config_app_complete(struct config_app *app, const struct config_seen *seen,
                        struct config_place *place) {
    const struct complete c = {app, seen, place};
    int r = 0;

    if (app->address == ADDRESS_FIXED && APP_LINE(seen, port) != 0) {
        r = complain_at(&c, APP_LINE(seen, port), "port: has no effect beside address = HOST:PORT");
    }
    if (r == 0) {
        r = check_group(&c);
    }
    if (r == 0 && app->is_template) {
        r = check_template(&c);
    }
    if (r == 0) {
        r = check_route(&c);
    }
    if (r == 0) {
        r = check_wait(&c);
    }
    return r == 0 ? complete_defaults(app) : r;
}
