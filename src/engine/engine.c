/*
 * engine.c - see engine.h.
 *
 * Looking at Docker: the stream of events is opened first; once it stands the listing is asked for,
 * so that nothing falls between the two. Each time the stream is lost and stands again the listing
 * is repeated. The engine leaves when nobody is connected, no container needs it and it is not
 * looking; that is checked after every round of the event loop.
 */
#include "engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "container.h"
#include "log.h"
#include "table.h"

#define LIST_RETRY (500 * USEC_PER_MSEC)

static void engine_list(struct engine *engine);

/* --- counting what keeps the engine here ---------------------------------------------------- */

/* A file that says to the next engine: something was awake when this one went. */
static void engine_mark(struct engine *engine, bool mark) {
    if (!engine->marker || engine->marked == mark)
        return;
    if (mark) {
        int fd = open(engine->marker, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
            log_warning("%s: cannot be created: %m", engine->marker);
        safe_close(fd);
    } else if (unlink(engine->marker) < 0 && errno != ENOENT) {
        log_warning("%s: cannot be removed: %m", engine->marker);
    }
    engine->marked = mark;
}

void engine_count_active(struct engine *engine, int change) {
    engine->n_active += (size_t)change;
    if (change > 0)
        engine_mark(engine, true);
}

void engine_count_inspecting(struct engine *engine, int change) {
    engine->n_inspecting += (size_t)change;
}

bool engine_is_settled(const struct engine *engine) {
    return engine->listed && engine->n_inspecting == 0;
}

static bool engine_is_looking(const struct engine *engine) {
    if (engine->look_began == 0)
        return false;
    if (engine_is_settled(engine))
        return false;
    return now_usec(CLOCK_MONOTONIC) < usec_add(engine->look_began, ENGINE_LOOK_TIMEOUT);
}

/* After every round of the loop. */
static int on_post(sd_event_source *source, void *userdata) {
    struct engine *engine = userdata;

    (void)source;
    if (!engine->server)
        return 0;
    if (engine_is_settled(engine)) {
        server_settled(engine->server);
        if (engine->n_active == 0)
            engine_mark(engine, false);
    }
    table_sweep(engine);
    if (!server_is_idle(engine->server))
        engine->waits = false;
    if (engine->waits)
        return 0;
    if (server_is_idle(engine->server) && engine->n_active == 0 && !engine_is_looking(engine))
        return sd_event_exit(engine->event, 0);
    return 0;
}

/* --- Docker's listing and events ------------------------------------------------------------ */

static int on_listed_container(void *userdata, const struct docker_listed *listed) {
    struct engine *engine = userdata;
    struct container *container;

    if (listed->status == DOCKER_RUNNING || listed->status == DOCKER_RESTARTING)
        table_notice(engine, listed->name, listed->label);
    container = engine_find_container(engine, listed->name);
    if (container) {
        container->round = engine->round;
        container_listed(container, true, listed->status);
    }
    return 0;
}

static void engine_list_failed(struct engine *engine, const char *text) {
    log_warning("Docker's containers cannot be listed: %s", text);
    sd_event_source_set_time_relative(engine->retry, LIST_RETRY);
    sd_event_source_set_enabled(engine->retry, SD_EVENT_ONESHOT);
}

static void on_list(void *userdata, const struct docker_result *result) {
    struct engine *engine = userdata;
    int r;

    engine->list = NULL;
    if (engine->list_again) {
        engine->list_again = false;
        engine_list(engine);
        return;
    }
    if (result->result < 0 || result->status != 200) {
        engine_list_failed(engine, result->text);
        return;
    }
    engine->round++;
    r = docker_parse_list(result->body, result->size, on_listed_container, engine);
    if (r < 0) {
        engine_list_failed(engine, "the answer cannot be understood");
        return;
    }
    for (size_t i = 0; i < engine->n_containers; i++)
        if (engine->containers[i]->round != engine->round)
            container_listed(engine->containers[i], false, DOCKER_DEAD);
    engine->listed = true;
}

/* GET /containers/json, all of them: one call however many apps. */
static void engine_list(struct engine *engine) {
    int r;

    if (engine->list) {
        engine->list_again = true;
        return;
    }
    r = docker_call_start(engine->docker, "GET", "/containers/json?all=true", DOCKER_QUERY_TIMEOUT,
                          on_list, engine, &engine->list);
    if (r < 0)
        engine_list_failed(engine, strerror(-r));
}

static int on_list_retry(sd_event_source *source, uint64_t usec, void *userdata) {
    struct engine *engine = userdata;

    (void)source;
    (void)usec;
    if (engine->stream_up)
        engine_list(engine);
    return 0;
}

static void on_stream_up(void *userdata) {
    struct engine *engine = userdata;

    if (engine->outage)
        log_notice("Docker can be reached again");
    engine->outage = false;
    engine->stream_up = true;
    engine_list(engine);
}

static void on_stream_down(void *userdata, const char *text) {
    struct engine *engine = userdata;

    if (!engine->outage)
        log_warning("%s", text); /* once for each loss, not for each try */
    if (engine->stream_up)
        engine->look_began = now_usec(CLOCK_MONOTONIC);
    engine->outage = true;
    engine->stream_up = false;
    engine->listed = false;
}

static void on_stream_event(void *userdata, const struct docker_event *event) {
    struct engine *engine = userdata;
    struct container *container;

    log_debug("Docker: %s %s", event->name, event->action);
    if (strcmp(event->action, "start") == 0 || strcmp(event->action, "unpause") == 0)
        table_notice(engine, event->name, event->label);
    container = engine_find_container(engine, event->name);
    if (container)
        container_event(container, event->action);
    if (event->old_name[0]) {
        container = engine_find_container(engine, event->old_name);
        if (container)
            container_event(container, event->action);
    }
}

void engine_look(struct engine *engine) {
    static const struct docker_follower follower = {
        .up = on_stream_up,
        .down = on_stream_down,
        .event = on_stream_event,
    };
    int r;

    if (engine->stream)
        return;
    engine->look_began = now_usec(CLOCK_MONOTONIC);
    r = docker_stream_new(engine->docker, &follower, engine, &engine->stream);
    if (r < 0) {
        log_error("Docker's events cannot be followed: %s", strerror(-r));
        sd_event_exit(engine->event, r);
    }
}

/* --- the configuration ---------------------------------------------------------------------- */

int engine_reload(struct engine *engine) {
    struct config_errors errors = {0};
    struct config *config = NULL;
    int r;

    r = config_load(&engine->paths, &errors, &config);
    if (r < 0) {
        log_error("the configuration cannot be read, the old one stays: %s", strerror(-r));
        return -EINVAL;
    }
    if (errors.n > 0) {
        config_errors_log(&errors);
        log_error("the configuration has errors, the old one stays");
        config_errors_done(&errors);
        config_free(config);
        return -EINVAL;
    }
    config_errors_done(&errors);
    if (strcmp(config->engine.docker, engine->config->engine.docker) != 0) {
        config_free(config);
        log_notice("another Docker: starting afresh");
        return sd_event_exit(engine->event, ENGINE_EXIT_AGAIN);
    }
    r = table_adopt(engine, config);
    if (r < 0) {
        log_error("the new configuration cannot be put in force: %s", strerror(-r));
        return sd_event_exit(engine->event, ENGINE_EXIT_AGAIN);
    }
    if (engine->stream_up)
        engine_list(engine);
    log_info("configuration read, %zu apps", engine->config->n_apps);
    return 0;
}

/* Nobody came. The check after this round does the rest. */
static int on_first_client(sd_event_source *source, uint64_t usec, void *userdata) {
    struct engine *engine = userdata;

    (void)source;
    (void)usec;
    engine->waits = false;
    return 0;
}

/* --- life ----------------------------------------------------------------------------------- */

int engine_new(sd_event *event, const struct config_paths *paths, const char *marker,
               struct engine **ret_engine) {
    struct engine *engine = calloc(1, sizeof(*engine));
    struct config_errors errors = {0};
    struct config *config = NULL;
    sd_event_source *post = NULL;
    int r;

    if (!engine)
        return -ENOMEM;
    engine->event = sd_event_ref(event);
    TAILQ_INIT(&engine->suspects);
    engine->paths = *paths;
    engine->marker = marker;
    engine->marked = marker && access(marker, F_OK) == 0;

    r = config_load(paths, &errors, &config);
    config_errors_log(&errors);
    config_errors_done(&errors);
    if (r < 0)
        goto fail;
    r = table_adopt(engine, config);
    if (r < 0) {
        config_free(config);
        goto fail;
    }
    r = http_new(event, &engine->http);
    if (r < 0)
        goto fail;
    r = docker_new(event, engine->http, engine->config->engine.docker, &engine->docker);
    if (r < 0)
        goto fail;
    r = sd_event_add_time_relative(event, &engine->retry, CLOCK_MONOTONIC, 0, ENGINE_TIMER_COARSE,
                                   on_list_retry, engine);
    if (r >= 0)
        r = sd_event_source_set_enabled(engine->retry, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_post(event, &post, on_post, engine);
    if (r >= 0)
        r = sd_event_source_set_floating(post, true);
    sd_event_source_unref(post);
    if (r < 0)
        goto fail;
    *ret_engine = engine;
    return 0;

fail:
    engine_free(engine);
    return r;
}

int engine_serve(struct engine *engine, int front_fd, int admin_fd) {
    int r = server_new(engine, front_fd, admin_fd, &engine->server);

    if (r < 0)
        return r;
    if (engine->marked)
        engine_look(engine);
    engine->waits = true;
    return sd_event_add_time_relative(engine->event, NULL, CLOCK_MONOTONIC, ENGINE_FIRST_CLIENT,
                                      ENGINE_TIMER_COARSE, on_first_client, engine);
}

void engine_free(struct engine *engine) {
    if (!engine)
        return;
    server_free(engine->server); /* fronts see the end of the connection, and no other news */
    engine->marker = NULL;       /* what is awake stays so: the next engine shall know */
    table_free(engine);
    docker_stream_free(engine->stream);
    docker_call_free(engine->list);
    sd_event_source_disable_unref(engine->retry);
    docker_free(engine->docker);
    http_free(engine->http);
    config_free(engine->config);
    sd_event_unref(engine->event);
    free(engine);
}
