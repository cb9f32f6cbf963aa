/* container.c - see container.h. */
#include "container.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "log.h"
#include "table.h"

/* Beyond the container's own stop_timeout or the app's start_timeout. */
#define CALL_MARGIN   (15 * USEC_PER_SEC)
#define START_TIMEOUT (300 * USEC_PER_SEC)
/* Between tries while Docker cannot be reached. */
#define PAUSE_FIRST (20 * USEC_PER_MSEC)
#define PAUSE_LAST  (1 * USEC_PER_SEC)
/* So long a restart of Docker may take before who waits for a start is told. */
#define PATIENCE (15 * USEC_PER_SEC)

static void container_bring_up(struct container *c, const char *verb);
static void container_inspect(struct container *c);

/* --- state ---------------------------------------------------------------------------------- */

/* While it runs the engine stays for it, unless it never sleeps anyway. */
void container_recount(struct container *c) {
    bool active = c->state == CONTAINER_STARTING || c->state == CONTAINER_STOPPING;

    if (c->state == CONTAINER_RUNNING) {
        bool wanted = false, sleepless = false;

        for (size_t i = 0; i < c->n_apps; i++) {
            const struct app *app = c->apps[i];

            if (!app_is_admitted(app))
                continue;
            active = true;
            wanted = wanted || app->demanded;
            sleepless = sleepless || app->config->idle_timeout == 0 || app->config->broken;
        }
        active = wanted || (active && !sleepless);
    }
    if (active != c->active) {
        c->active = active;
        engine_count_active(c->engine, active ? 1 : -1);
    }
}

static void container_set_state(struct container *c, enum container_state state) {
    if (c->state != state) {
        c->state = state;
        c->since = now_usec(CLOCK_REALTIME);
    }
    if (state != CONTAINER_STARTING)
        c->stop_after = false;
    if (state != CONTAINER_RUNNING)
        c->dying = false;
    container_recount(c);
    for (size_t i = 0; i < c->n_apps; i++)
        app_container_changed(c->apps[i]);
}

/* Somebody wants it to run who may. */
static bool container_wanted(const struct container *c) {
    for (size_t i = 0; i < c->n_apps; i++)
        if (c->apps[i]->demanded && app_is_admitted(c->apps[i]))
            return true;
    return false;
}

/* Somebody waits for it: for a start, or for the inspection that comes before one. */
static bool container_awaited(const struct container *c) {
    for (size_t i = 0; i < c->n_apps && c->state < CONTAINER_STARTING; i++)
        if (c->apps[i]->demanded)
            return true;
    return c->state == CONTAINER_STARTING;
}

/* It does not run (any more): state is ASLEEP, PAUSED or MISSING. Apps may ask for it at once. */
static void container_set_stopped(struct container *c, enum container_state state,
                                  enum proto_failure failure, const char *text) {
    bool demanded = c->demanded && container_wanted(c); /* who asked may have been told no since */

    c->demanded = false;
    c->away_since = 0;
    c->text[0] = '\0';
    container_set_state(c, state);
    if (demanded) {
        container_wake(c);
        return;
    }
    for (size_t i = 0; i < c->n_apps; i++)
        app_container_stopped(c->apps[i], failure, text);
}

static void container_set_running(struct container *c) {
    bool stop = c->stop_after && !container_wanted(c), fresh = c->state != CONTAINER_RUNNING;

    /* An event was quicker than the start's own answer, which has nothing to add. */
    docker_call_free(c->call);
    c->call = NULL;
    c->away_since = 0;
    c->text[0] = '\0';
    c->pause = PAUSE_FIRST;
    container_set_state(c, CONTAINER_RUNNING);
    if (stop) {
        container_sleep(c);
        return;
    }
    for (size_t i = 0; i < c->n_apps; i++) {
        if (fresh && c->apps[i]->state == APP_FAILED)
            c->apps[i]->state = APP_IDLE; /* that was another run of it */
        app_container_running(c->apps[i]);
    }
}

/* Docker could not be asked: once more after a pause, or that is what a start failed with. */
static void container_retry(struct container *c, const char *text) {
    usec_t now = now_usec(CLOCK_MONOTONIC);

    if (c->away_since == 0)
        c->away_since = now;
    if (container_awaited(c) && now - c->away_since >= PATIENCE) {
        container_set_stopped(c, CONTAINER_UNKNOWN, PROTO_FAILURE_DOCKER, text);
        return;
    }
    snprintf(c->text, sizeof(c->text), "%s", text);
    sd_event_source_set_time_relative(c->retry, c->pause);
    sd_event_source_set_enabled(c->retry, SD_EVENT_ONESHOT);
    c->pause = c->pause * 2 < PAUSE_LAST ? c->pause * 2 : PAUSE_LAST;
}

/* STARTING: Docker has yet to be asked to start it. */
static bool container_will_retry(const struct container *c) {
    return c->state == CONTAINER_STARTING && sd_event_source_get_enabled(c->retry, NULL) > 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
    struct container *c = userdata;

    (void)source;
    (void)usec;
    if (c->call)
        return 0;
    if (c->state != CONTAINER_STARTING) {
        container_inspect(c);
    } else if (container_wanted(c)) {
        container_bring_up(c, "start");
    } else { /* who wanted it has been told that it failed */
        container_set_state(c, CONTAINER_UNKNOWN);
        container_inspect(c);
    }
    return 0;
}

/* Nobody was there to be asked, as opposed to an answer that says no. */
static bool unreachable(const struct docker_result *result) {
    return result->result == -ECONNREFUSED || result->result == -EPIPE;
}

/* --- calls ---------------------------------------------------------------------------------- */

static int container_call(struct container *c, const char *method, const char *verb, usec_t timeout,
                          docker_done done, struct docker_call **ret_call) {
    char path[DOCKER_NAME_MAX + 64];

    snprintf(path, sizeof(path), "/containers/%s/%s", c->name, verb);
    return docker_call_start(c->engine->docker, method, path, timeout, done, c, ret_call);
}

/* A start or unpause that Docker refused. */
static void container_refused(struct container *c, enum container_state state,
                              enum proto_failure failure, const char *text) {
    char line[PROTO_TEXT_MAX];

    if (failure == PROTO_FAILURE_MISSING)
        snprintf(line, sizeof(line), "there is no container '%.100s'", c->name);
    else
        snprintf(line, sizeof(line), "it cannot be started: %.220s", text);
    container_set_stopped(c, state, failure, line);
}

static void on_started(void *userdata, const struct docker_result *result) {
    struct container *c = userdata;

    c->call = NULL;
    if (result->result == 0 && (result->status == 204 || result->status == 304)) {
        container_inspect(c);
    } else if (unreachable(result)) {
        container_retry(c, result->text);
    } else if (result->status == 404) {
        container_refused(c, CONTAINER_MISSING, PROTO_FAILURE_MISSING, "");
    } else if (result->status == 409) { /* paused, or being removed */
        snprintf(c->text, sizeof(c->text), "%s", result->text);
        container_inspect(c);
    } else {
        container_refused(c, CONTAINER_UNKNOWN, PROTO_FAILURE_DOCKER, result->text);
        container_inspect(c); /* it may run all the same: a call that only timed out */
    }
}

/* POST /containers/{id}/start or /unpause: the verb. */
static void container_bring_up(struct container *c, const char *verb) {
    int r;

    sd_event_source_set_enabled(c->retry, SD_EVENT_OFF);
    container_set_state(c, CONTAINER_STARTING);
    c->inspect_again = c->inspect != NULL;
    r = container_call(c, "POST", verb, START_TIMEOUT, on_started, &c->call);
    if (r < 0)
        container_refused(c, CONTAINER_UNKNOWN, PROTO_FAILURE_DOCKER, strerror(-r));
}

static void on_stopped(void *userdata, const struct docker_result *result) {
    struct container *c = userdata;

    c->call = NULL;
    if (result->result == 0 && (result->status == 204 || result->status == 304)) {
        container_set_stopped(c, CONTAINER_ASLEEP, PROTO_FAILURE_NONE, "");
    } else if (result->status == 404) {
        container_set_stopped(c, CONTAINER_MISSING, PROTO_FAILURE_NONE, "");
    } else {
        log_warning("container %s: cannot be stopped: %s", c->name, result->text);
        container_set_stopped(c, CONTAINER_UNKNOWN, PROTO_FAILURE_NONE, "");
        container_inspect(c);
    }
}

/* POST /containers/{id}/stop. The longest stop_timeout of its apps counts. */
static void container_stop(struct container *c) {
    usec_t timeout = 0;
    char verb[64];
    int r;

    for (size_t i = 0; i < c->n_apps; i++)
        if (c->apps[i]->config->stop_timeout > timeout)
            timeout = c->apps[i]->config->stop_timeout;
    sd_event_source_set_enabled(c->retry, SD_EVENT_OFF);
    container_set_state(c, CONTAINER_STOPPING);
    c->inspect_again = c->inspect != NULL;
    snprintf(verb, sizeof(verb), "stop?t=%" PRIu64,
             (uint64_t)((timeout + USEC_PER_SEC - 1) / USEC_PER_SEC));
    r = container_call(c, "POST", verb, timeout + CALL_MARGIN, on_stopped, &c->call);
    if (r < 0) {
        log_error("container %s: cannot be stopped: %s", c->name, strerror(-r));
        container_set_stopped(c, CONTAINER_UNKNOWN, PROTO_FAILURE_NONE, "");
    }
}

/* --- what Docker says ----------------------------------------------------------------------- */

static void container_exited(struct container *c, const struct docker_container *info) {
    char text[PROTO_TEXT_MAX];

    if (info->oom_killed)
        snprintf(text, sizeof(text), "the container was killed: out of memory");
    else if (info->status == DOCKER_DEAD)
        snprintf(text, sizeof(text), "the container is dead; it has to be removed");
    else
        snprintf(text, sizeof(text), "the container exited with status %d", info->exit_code);
    container_set_stopped(c, CONTAINER_ASLEEP, PROTO_FAILURE_EXITED, text);
}

/* The inspection's answer, newer than any call of ours that has ended. */
static void container_update(struct container *c, const struct docker_container *info) {
    switch (info->status) {
    case DOCKER_RUNNING:
        if (c->state != CONTAINER_STOPPING) {
            c->dying = false;
            container_set_running(c);
        }
        break;
    case DOCKER_RESTARTING:
        /* Its restart policy starts it again in a moment, and an event will say so. */
        if (c->state == CONTAINER_RUNNING)
            for (size_t i = 0; i < c->n_apps; i++)
                app_container_lost(c->apps[i]);
        if (c->state != CONTAINER_STOPPING)
            container_set_state(c, CONTAINER_STARTING);
        break;
    case DOCKER_PAUSED:
        if (c->call) /* it will say how that ended */
            break;
        if (container_wanted(c))
            container_bring_up(c, "unpause");
        else
            container_set_stopped(c, CONTAINER_PAUSED, PROTO_FAILURE_NONE, "");
        break;
    case DOCKER_REMOVING:
        if (!c->call)
            container_set_stopped(c, CONTAINER_MISSING, PROTO_FAILURE_MISSING,
                                  "the container is being removed");
        break;
    case DOCKER_CREATED:
    case DOCKER_EXITED:
    case DOCKER_DEAD:
        if (c->call || container_will_retry(c))
            break; /* it is still to be started */
        if (c->state == CONTAINER_STARTING || c->state == CONTAINER_RUNNING)
            container_exited(c, info);
        else if (container_wanted(c)) { /* it was to be looked at before the start */
            c->pause = PAUSE_FIRST;
            container_bring_up(c, "start");
        } else if (c->state != CONTAINER_ASLEEP)
            container_set_stopped(c, CONTAINER_ASLEEP, PROTO_FAILURE_NONE, "");
        break;
    }
}

static void on_inspected(void *userdata, const struct docker_result *result) {
    struct container *c = userdata;
    int r = 0;

    c->inspect = NULL;
    engine_count_inspecting(c->engine, -1);
    for (size_t i = 0; i < c->n_apps; i++)
        table_suspect(c->apps[i]); /* one may have been kept for this answer alone */
    if (c->inspect_again) {
        c->inspect_again = false;
        container_inspect(c);
        return;
    }
    if (result->result == 0 && result->status == 404) {
        if (!c->call && (c->state != CONTAINER_MISSING || container_awaited(c)))
            container_refused(c, CONTAINER_MISSING, PROTO_FAILURE_MISSING, "");
        return;
    }
    if (result->result < 0 || result->status != 200) {
        container_retry(c, result->text);
        return;
    }
    for (size_t i = 0; i < c->n_apps && r == 0; i++)
        r = docker_parse_inspect(result->body, result->size, c->apps[i]->config->network,
                                 c->apps[i]->config->port, &c->apps[i]->seen);
    if (r < 0) {
        container_retry(c, "Docker's answer cannot be understood");
        return;
    }
    c->away_since = 0;
    for (size_t i = 0; i < c->n_apps; i++)
        app_inspected(c->apps[i]);
    container_recount(c); /* apps may have been admitted, or not any more */
    container_update(c, &c->apps[0]->seen);
}

/* GET /containers/{id}/json; one at a time, and once more when it is asked for meanwhile. */
static void container_inspect(struct container *c) {
    int r;

    if (c->inspect) {
        c->inspect_again = true;
        return;
    }
    if (c->n_apps == 0)
        return;
    r = container_call(c, "GET", "json", DOCKER_QUERY_TIMEOUT, on_inspected, &c->inspect);
    if (r < 0)
        container_retry(c, strerror(-r));
    else
        engine_count_inspecting(c->engine, 1);
}

void container_look(struct container *c) {
    if (!c->inspect)
        container_inspect(c);
}

void container_event(struct container *c, const char *action) {
    bool died = strcmp(action, "die") == 0 || strcmp(action, "died") == 0;

    if (c->state == CONTAINER_STOPPING)
        return; /* the stop's answer says it all */
    if (died && c->state == CONTAINER_RUNNING) {
        for (size_t i = 0; i < c->n_apps; i++)
            app_container_lost(c->apps[i]);
        /* Nobody waits: simply asleep. Else the inspection says why it ended. */
        if (!container_wanted(c))
            container_set_stopped(c, CONTAINER_ASLEEP, PROTO_FAILURE_NONE, "");
        else
            c->dying = true;
    }
    container_inspect(c);
}

void container_listed(struct container *c, bool found, enum docker_status status) {
    bool asleep = c->state == CONTAINER_UNKNOWN || c->state == CONTAINER_MISSING ||
                  c->state == CONTAINER_ASLEEP || c->state == CONTAINER_PAUSED;

    if (c->call)
        return; /* its end asks again */
    /* What sleeps is taken from the listing: 10,000 apps cost one call. */
    if (!asleep || c->inspect || (found && status == DOCKER_RUNNING))
        container_inspect(c);
    else if (found)
        container_update(c, &(struct docker_container){.status = status});
    else if (c->state != CONTAINER_MISSING)
        container_refused(c, CONTAINER_MISSING, PROTO_FAILURE_MISSING, "");
}

/* --- what the apps ask ---------------------------------------------------------------------- */

void container_wake(struct container *c) {
    switch (c->state) {
    case CONTAINER_UNKNOWN:
    case CONTAINER_MISSING:
    case CONTAINER_ASLEEP:
        c->pause = PAUSE_FIRST;
        container_bring_up(c, "start");
        break;
    case CONTAINER_PAUSED:
        c->pause = PAUSE_FIRST;
        container_bring_up(c, "unpause");
        break;
    case CONTAINER_STARTING:
        c->stop_after = false;
        break;
    case CONTAINER_STOPPING:
        c->demanded = true;
        break;
    case CONTAINER_RUNNING:
        if (!c->dying)
            for (size_t i = 0; i < c->n_apps; i++)
                app_container_running(c->apps[i]);
        break;
    }
}

void container_sleep(struct container *c) {
    if (c->state == CONTAINER_STARTING) {
        c->stop_after = true;
    } else if (c->state == CONTAINER_RUNNING) {
        c->text[0] = '\0';
        container_stop(c);
        for (size_t i = 0; i < c->n_apps; i++)
            app_container_stopped(c->apps[i], PROTO_FAILURE_STOPPED, "it was put to sleep");
    } else if (c->state == CONTAINER_STOPPING) {
        c->demanded = false;
    }
}

void container_sleep_if_idle(struct container *c) {
    if (c->state != CONTAINER_RUNNING)
        return;
    for (size_t i = 0; i < c->n_apps; i++)
        if (app_is_admitted(c->apps[i]) && !app_may_sleep(c->apps[i]))
            return;
    log_info("container %s: idle, put to sleep", c->name);
    container_sleep(c);
}

/* --- life ----------------------------------------------------------------------------------- */

int container_new(struct engine *engine, const char *name, struct container **ret_container) {
    struct container *c = calloc(1, sizeof(*c));
    int r = -ENOMEM;

    if (!c)
        return -ENOMEM;
    c->engine = engine;
    c->since = now_usec(CLOCK_REALTIME);
    c->pause = PAUSE_FIRST;
    c->name = strdup(name);
    if (c->name)
        r = sd_event_add_time_relative(engine->event, &c->retry, CLOCK_MONOTONIC, 0,
                                       ENGINE_TIMER_EXACT, on_retry, c);
    if (r >= 0)
        r = sd_event_source_set_enabled(c->retry, SD_EVENT_OFF);
    if (r < 0) {
        container_free(c);
        return r;
    }
    *ret_container = c;
    return 0;
}

void container_free(struct container *c) {
    if (!c)
        return;
    if (c->active)
        engine_count_active(c->engine, -1);
    if (c->inspect)
        engine_count_inspecting(c->engine, -1);
    docker_call_free(c->call);
    docker_call_free(c->inspect);
    sd_event_source_disable_unref(c->retry);
    free(c->apps);
    free(c->name);
    free(c);
}

int container_add_app(struct container *c, struct app *app) {
    struct app **apps = reallocarray(c->apps, c->n_apps + 1, sizeof(*apps));

    if (!apps)
        return -ENOMEM;
    apps[c->n_apps++] = app;
    c->apps = apps;
    return 0;
}

void container_remove_app(struct container *c, const struct app *app) {
    for (size_t i = 0; i < c->n_apps; i++)
        if (c->apps[i] == app) {
            c->apps[i] = c->apps[--c->n_apps];
            return;
        }
}
