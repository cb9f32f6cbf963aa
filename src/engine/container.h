/*
 * container.h - one container: what it does, and what it is asked to do.
 *
 * Docker is the only truth. Whatever happens to the container (an event, the end of a call), it is
 * inspected and the answer decides; a call of ours in flight only says what to expect.
 *
 *   UNKNOWN   Docker has not said yet. Starting is allowed: Docker answers "already running" if so.
 *   MISSING   no such container. A start is tried all the same, it may have been created since.
 *   ASLEEP    created or exited.                     start -> STARTING
 *   PAUSED    its processes are frozen.              unpause -> STARTING
 *   STARTING  a call of ours is in flight or will be tried again, or its restart policy brings it
 *             back.                                  runs -> RUNNING, exited or refused -> ASLEEP
 *   RUNNING   its apps are probed or ready.          stop -> STOPPING, died -> ASLEEP
 *   STOPPING  a stop of ours is in flight; a demand is remembered and starts it afterwards.
 *
 * Several apps may share a container. It sleeps when all of them are idle. Apps that are not admitted
 * to it (app.h) have no say in that, and wake nothing.
 */
#pragma once

#include "engine.h"

enum container_state { /* those in which it does not run come first */
                       CONTAINER_UNKNOWN,
                       CONTAINER_MISSING,
                       CONTAINER_ASLEEP,
                       CONTAINER_PAUSED,
                       CONTAINER_STARTING,
                       CONTAINER_RUNNING,
                       CONTAINER_STOPPING,
};

struct container {
    struct engine *engine;
    char *name;
    enum container_state state;
    usec_t since; /* realtime: in this state since */
    size_t n_apps;
    struct app **apps; /* at least one, outside the table's building */

    uint64_t round;                /* engine->round when Docker last listed it */
    struct docker_call *call;      /* start, unpause or stop, in flight */
    struct docker_call *inspect;   /* in flight */
    bool inspect_again;            /* the inspection in flight is out of date */
    bool demanded;                 /* STOPPING: to be started again */
    bool stop_after;               /* STARTING: to be stopped as soon as it runs */
    bool dying;                    /* RUNNING: "die" came; the inspection decides */
    bool active;                   /* counted by engine_count_active() */
    sd_event_source *retry;        /* tries again what Docker could not be asked */
    usec_t pause;                  /* before the next try */
    usec_t away_since;             /* since when Docker could not be asked; 0: it could */
    char text[DOCKER_MESSAGE_MAX]; /* why the last try did not succeed; "" */
};

int container_new(struct engine *engine, const char *name, struct container **ret_container);
void container_free(struct container *container);
int container_add_app(struct container *container, struct app *app);
void container_remove_app(struct container *container, const struct app *app);

/* Wants it to run; the apps are told by app_container_*(). Idempotent. */
void container_wake(struct container *container);
/* Puts it to sleep now; a start that is under way is ended as soon as Docker lets go of it. */
void container_sleep(struct container *container);
/* The same when no app of it is in use or has a clock that still runs. */
void container_sleep_if_idle(struct container *container);

/* Inspects it; app_inspected() of each app says more. */
void container_look(struct container *container);
/* Docker says that something happened to it. */
void container_event(struct container *container, const char *action);
/* Docker's listing has it with this status, or (found = false) does not have it. */
void container_listed(struct container *container, bool found, enum docker_status status);
/* The configuration of an app of it has changed. */
void container_recount(struct container *container);
