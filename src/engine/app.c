/* app.c - see app.h. */
#include "app.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "log.h"
#include "table.h"

/* --- state ---------------------------------------------------------------------------------- */

static void timer_arm(sd_event_source *source, usec_t at) {
    sd_event_source_set_time(source, at);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Fronts that wait for it see how it goes on. */
static void app_tell_progress(const struct app *app) {
    enum proto_state state = app_proto_state(app);
    struct lease *lease;

    if (app->demanded)
        TAILQ_FOREACH (lease, &app->leases, in_app)
            lease_tell_progress(lease, state);
}

static void app_set_state(struct app *app, enum app_state state) {
    if (app->state != state) {
        app->state = state;
        app->since = now_usec(CLOCK_REALTIME);
    }
    if (state != APP_PROBING) {
        probe_free(app->probe);
        app->probe = NULL;
        app->probing_health = false;
        if (!app->demanded)
            sd_event_source_set_enabled(app->deadline, SD_EVENT_OFF);
    }
    watchers_tell(app, !app->demanded);
    app_tell_progress(app);
}

static void app_set_demanded(struct app *app, bool demanded) {
    app->demanded = demanded;
    if (!demanded) {
        app->again = app->humble = false;
        sd_event_source_set_enabled(app->deadline, SD_EVENT_OFF);
    }
    container_recount(app->container);
}

/* --- the idle clock ------------------------------------------------------------------------- */

bool app_may_sleep(const struct app *app) {
    if (app->config->broken || app->config->idle_timeout == 0 || app->n_leases > 0 || app->demanded)
        return false;
    return now_usec(CLOCK_MONOTONIC) >= usec_add(app->idle_since, app->config->idle_timeout);
}

/* Runs while the container does, nobody holds a lease and nobody waits. */
static void app_update_clock(struct app *app) {
    table_suspect(app);
    if (app->container->state != CONTAINER_RUNNING || app->n_leases > 0 || app->demanded ||
        !app_is_admitted(app)) {
        app->idle_since = 0;
        sd_event_source_set_enabled(app->idle, SD_EVENT_OFF);
    } else if (app->idle_since == 0) {
        app->idle_since = now_usec(CLOCK_MONOTONIC);
        if (app->config->idle_timeout > 0 && !app->config->broken)
            timer_arm(app->idle, usec_add(app->idle_since, app->config->idle_timeout));
    }
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
    struct app *app = userdata;

    (void)source;
    (void)usec;
    container_sleep_if_idle(app->container);
    return 0;
}

/* --- the end of a wake ---------------------------------------------------------------------- */

static void app_become_ready(struct app *app) {
    char address[PROTO_ADDRESS_TEXT_MAX];
    struct lease *lease;

    proto_address_format(&app->address, address);
    if (app->demanded) {
        app->wake_took = usec_sub(now_usec(CLOCK_MONOTONIC), app->wake_began);
        log_info("app %s: ready at %s after %" PRIu64 " ms", app->config->name, address,
                 app->wake_took / USEC_PER_MSEC);
    } else {
        log_info("app %s: awake at %s", app->config->name, address);
    }
    app->failure = PROTO_FAILURE_NONE;
    app->text[0] = '\0';
    app_set_demanded(app, false);
    app_set_state(app, APP_READY);
    TAILQ_FOREACH (lease, &app->leases, in_app)
        lease_tell_ready(lease, &app->address);
    app_update_clock(app);
}

/* The container is left as it is. */
static void app_become_failed(struct app *app, enum proto_failure failure, const char *text) {
    struct lease *lease;

    log_warning("app %s: %s: %s", app->config->name, proto_failure_name(failure), text);
    app->failure = failure;
    snprintf(app->text, sizeof(app->text), "%s", text);
    app_set_demanded(app, false);
    app_set_state(app, APP_FAILED);
    while ((lease = TAILQ_FIRST(&app->leases)))
        lease_tell_failed(lease, failure, app->text);
    app_update_clock(app);
}

/* It has ended, and those who want it may not start it. */
static void app_lapse(struct app *app) {
    struct lease *lease;

    app_set_demanded(app, false);
    app_set_state(app, APP_IDLE);
    while ((lease = TAILQ_FIRST(&app->leases)))
        lease_tell_failed(lease, PROTO_FAILURE_ASLEEP, "it is asleep");
    app_update_clock(app);
}

/* Somebody else uses the container. */
static bool app_has_siblings(const struct app *app) {
    for (size_t i = 0; i < app->container->n_apps; i++) {
        const struct app *other = app->container->apps[i];

        if (other != app && (other->n_leases > 0 || other->demanded))
            return true;
    }
    return false;
}

/* The container runs, or is about to, and the app is not ready: on_failure says what follows. */
static void app_fail(struct app *app, enum proto_failure failure, const char *text) {
    bool stop = app->demanded && !app->humble && app->config->on_failure == ON_FAILURE_STOP;

    app_become_failed(app, failure, text);
    if (stop && !app_has_siblings(app))
        container_sleep(app->container);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
    struct app *app = userdata;
    char text[PROTO_TEXT_MAX];
    const char *why = "";

    (void)source;
    (void)usec;
    if (app->probe)
        why = probe_text(app->probe);
    else if (app->probing_health && app->seen.health == DOCKER_HEALTH_UNHEALTHY)
        why = "its HEALTHCHECK says unhealthy";
    else if (app->probing_health)
        why = "its HEALTHCHECK has not said healthy yet";
    else if (app->container->text[0])
        why = app->container->text;
    else if (app->container->state == CONTAINER_STARTING)
        why = "Docker has not started it yet";
    else if (app->container->state == CONTAINER_STOPPING)
        why = "it is still being stopped";
    snprintf(text, sizeof(text), "not ready within %" PRIu64 " s%s%s",
             app->config->start_timeout / USEC_PER_SEC, *why ? ": " : "", why);
    app_fail(app, PROTO_FAILURE_TIMEOUT, text);
    return 0;
}

/* --- readiness ------------------------------------------------------------------------------ */

/* Where the program answers, as address = says; AF_UNSPEC when it has no such address or port. */
static struct proto_address app_find_address(const struct app *app, bool *ret_published) {
    const struct config_app *config = app->config;
    uint16_t port = config->port ? config->port : app->seen.exposed_port;
    struct proto_address address = {.family = AF_UNSPEC};

    *ret_published = false;
    if (config->address == ADDRESS_FIXED)
        return config->fixed;
    if (config->address == ADDRESS_AUTO && app->seen.address.family != AF_UNSPEC && port != 0) {
        address = app->seen.address;
        address.port = htons(port);
    } else if (app->seen.published.family != AF_UNSPEC) {
        address = app->seen.published;
        *ret_published = true;
    }
    return address;
}

static void on_probed(void *userdata) {
    app_become_ready(userdata);
}

static enum config_check app_choose_check(const struct app *app) {
    if (app->config->check != CHECK_AUTO)
        return app->config->check;
    if (app->seen.health != DOCKER_HEALTH_NONE)
        return CHECK_DOCKER;
    return app->config->health_path ? CHECK_HTTP : CHECK_TCP;
}

static void app_probe(struct app *app) {
    const struct config_app *config = app->config;
    struct probe_spec spec = {
        .path = config->health_path ? config->health_path : "/",
        .host = config->n_hosts > 0 ? config->hosts[0] : NULL,
        .n_expect = config->n_expect,
        .expect = config->expect,
        .interval = config->interval,
        .grace = config->grace,
    };
    enum config_check check = app_choose_check(app);
    int r;

    app->address = app_find_address(app, &spec.published);
    if (app->address.family == AF_UNSPEC || app->address.port == 0) {
        app_fail(
            app, PROTO_FAILURE_NO_ADDRESS,
            "the container has no address or port to connect to: set port, network or address");
        return;
    }
    if (check == CHECK_DOCKER && app->seen.health == DOCKER_HEALTH_NONE) {
        app_fail(app, PROTO_FAILURE_NO_ADDRESS,
                 "check = docker, but the container has no HEALTHCHECK");
        return;
    }
    app_set_state(app, APP_PROBING);
    if (!app->demanded) /* started by others: nobody waits, but it is not probed for ever */
        timer_arm(app->deadline, usec_add(now_usec(CLOCK_MONOTONIC), config->start_timeout));
    if (check == CHECK_DOCKER) {
        app->probing_health = true; /* an event brings the next inspection */
        if (app->seen.health == DOCKER_HEALTH_HEALTHY)
            app_become_ready(app);
        return;
    }
    spec.kind = check == CHECK_HTTP ? PROBE_HTTP : check == CHECK_TCP ? PROBE_TCP : PROBE_GRACE;
    spec.address = app->address;
    if (config->health_port) { /* a port of the container's, which need not be published */
        if (app->seen.address.family != AF_UNSPEC && config->address != ADDRESS_FIXED)
            spec.address = app->seen.address;
        spec.address.port = htons(config->health_port);
        spec.published = false;
    }
    r = probe_new(app->engine->event, app->engine->http, &spec, on_probed, app, &app->probe);
    if (r < 0)
        app_fail(app, PROTO_FAILURE_DOCKER, strerror(-r));
}

void app_inspected(struct app *app) {
    const char *name = app->config->name;
    size_t len = strcspn(name, "@");

    app->looked = true;
    app->foreign =
        app->labelled && (strncmp(name, app->seen.label, len) != 0 || app->seen.label[len] != '\0');
    table_suspect(app);
    if (app->foreign) {
        app_container_lost(app); /* it was ours before it was made anew */
        if (app->demanded)
            app_become_failed(app, PROTO_FAILURE_FOREIGN, app_foreign_text);
        else if (app->state == APP_PROBING)
            app_set_state(app, APP_IDLE);
    } else if (app->demanded && app->container->state == CONTAINER_STOPPING) {
        container_wake(app->container); /* afterwards */
    }
}

void app_container_running(struct app *app) {
    bool published;

    if (app->config->broken || app->container->state != CONTAINER_RUNNING)
        return;
    if (!app->looked) { /* the container has run for another app so far */
        container_look(app->container);
        return;
    }
    if (app->foreign)
        return;
    switch (app->state) {
    case APP_READY: {
        struct proto_address now = app_find_address(app, &published);

        if (memcmp(&now, &app->address, sizeof(now)) == 0)
            break;
        app_container_lost(app); /* another address: another container of the same name */
        app_probe(app);
        break;
    }
    case APP_PROBING:
        if (app->probing_health || !app->probe)
            app_probe(app);
        break;
    case APP_FAILED:
        /* It has run since: only a demand tries again, or health that came late. */
        if (app->demanded || app->seen.health == DOCKER_HEALTH_HEALTHY)
            app_probe(app);
        break;
    case APP_IDLE:
    case APP_WAITING:
        app_probe(app);
        break;
    }
    app_update_clock(app);
}

void app_container_lost(struct app *app) {
    struct lease *lease;

    if (app->state != APP_READY)
        return;
    while ((lease = TAILQ_FIRST(&app->leases)))
        lease_tell_gone(lease);
    app_set_state(app, APP_IDLE);
    app_update_clock(app);
}

void app_container_stopped(struct app *app, enum proto_failure failure, const char *text) {
    app_container_lost(app);
    if (app->demanded && !app_is_admitted(app) && failure == PROTO_FAILURE_NONE)
        return; /* the inspection that it waits for decides */
    if (app->demanded && app->humble) {
        app_lapse(app);
        return;
    }
    if (app->demanded && app->again && failure == PROTO_FAILURE_EXITED) {
        app->again = false;
        app_set_state(app, APP_WAITING);
        container_wake(app->container);
        return;
    }
    if (app->demanded)
        app_become_failed(app, failure ? failure : PROTO_FAILURE_STOPPED,
                          *text ? text : "it was put to sleep");
    else if (app->state != APP_FAILED)
        app_set_state(app, APP_IDLE);
    app_update_clock(app);
}

void app_container_changed(struct app *app) {
    if (app->container->state == CONTAINER_MISSING)
        app->looked = app->foreign = false;
    watchers_tell(app, false);
    app_tell_progress(app);
    app_update_clock(app);
}

/* --- what clients ask ----------------------------------------------------------------------- */

/* wake: whether it may be started for this. */
static void app_demand(struct app *app, struct lease *lease, bool wake) {
    bool first = !app->demanded;

    if (first) {
        app->wake_began = now_usec(CLOCK_MONOTONIC);
        app_set_demanded(app, true);
        timer_arm(app->deadline, usec_add(app->wake_began, app->config->start_timeout));
    }
    if (wake && (first || app->humble))
        app->again = app->container->state == CONTAINER_RUNNING;
    app->humble = (first || app->humble) && !wake;
    app_update_clock(app);
    if (lease) {
        lease_tell_starting(lease);
        lease_tell_progress(lease, app_proto_state(app));
    }
}

void app_wake(struct app *app, struct lease *lease) {
    struct container *container = app->container;

    if (app->config->broken) {
        app_become_failed(app, PROTO_FAILURE_BROKEN_APP, "its configuration has errors");
        return;
    }
    if (app->state == APP_READY) {
        if (lease)
            lease_tell_ready(lease, &app->address);
        watchers_tell(app, true);
        app->idle_since = 0; /* an order counts as use */
        app_update_clock(app);
        return;
    }
    if (!app->demanded || app->humble)
        log_info("app %s: woken", app->config->name);
    app_demand(app, lease, true);
    if (app->state == APP_IDLE || app->state == APP_FAILED)
        app_set_state(app, APP_WAITING);
    if (app->labelled && container->state < CONTAINER_STARTING)
        app->looked = false;
    if (app_is_admitted(app))
        container_wake(container);
    else
        container_look(container);
}

bool app_is_awake(const struct app *app) {
    if (app->config->broken || !app_is_admitted(app))
        return false;
    return app->state == APP_READY ||
           (app->state == APP_PROBING && app->container->state == CONTAINER_RUNNING &&
            !app->container->dying);
}

void app_join(struct app *app, struct lease *lease) {
    if (app->state == APP_READY)
        lease_tell_ready(lease, &app->address);
    else
        app_demand(app, lease, false);
}

void app_doubt(struct app *app, struct lease *lease, bool wake) {
    if (app->state == APP_READY) {
        app_demand(app, lease, wake);
        app_set_state(app, APP_PROBING);
        container_event(app->container, "");
    } else if (wake) {
        app_wake(app, lease);
    } else if (app_is_awake(app)) {
        app_join(app, lease);
    } else {
        lease_tell_failed(lease, PROTO_FAILURE_ASLEEP, "it is asleep");
        app_update_clock(app);
    }
}

void app_sleep(struct app *app) {
    struct container *container = app->container;

    log_info("app %s: put to sleep by order", app->config->name);
    if (!app_is_admitted(app)) {
        if (app->demanded)
            app_become_failed(app, PROTO_FAILURE_STOPPED, "it was put to sleep");
        return;
    }
    for (size_t i = 0; i < container->n_apps; i++)
        if (container->apps[i]->demanded)
            app_become_failed(container->apps[i], PROTO_FAILURE_STOPPED, "it was put to sleep");
    container_sleep(container);
}

void app_leases_changed(struct app *app) {
    app_update_clock(app);
}

/* --- life ----------------------------------------------------------------------------------- */

int app_new(struct engine *engine, const struct config_app *config, struct container *container,
            struct app **ret_app) {
    struct app *app = calloc(1, sizeof(*app));
    int r;

    if (!app)
        return -ENOMEM;
    app->engine = engine;
    app->config = config;
    app->container = container;
    TAILQ_INIT(&app->leases);
    TAILQ_INIT(&app->watchers);
    r = sd_event_add_time_relative(engine->event, &app->deadline, CLOCK_MONOTONIC, 0,
                                   ENGINE_TIMER_EXACT, on_deadline, app);
    if (r >= 0)
        r = sd_event_source_set_enabled(app->deadline, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time_relative(engine->event, &app->idle, CLOCK_MONOTONIC, 0,
                                       ENGINE_TIMER_COARSE, on_idle, app);
    if (r >= 0)
        r = sd_event_source_set_enabled(app->idle, SD_EVENT_OFF);
    if (r >= 0)
        r = container_add_app(container, app);
    if (r < 0) {
        app_free(app);
        return r;
    }
    *ret_app = app;
    return 0;
}

void app_free(struct app *app) {
    struct lease *lease;

    if (!app)
        return;
    while ((lease = TAILQ_FIRST(&app->leases)))
        lease_tell_gone(lease);
    watchers_part(app);
    if (app->suspect)
        TAILQ_REMOVE(&app->engine->suspects, app, in_suspects);
    probe_free(app->probe);
    sd_event_source_disable_unref(app->deadline);
    sd_event_source_disable_unref(app->idle);
    config_instance_free(app->own);
    free(app);
}
