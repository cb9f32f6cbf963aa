/*
 * app.h - one app of the table: whether it is ready, who waits for it, when it may sleep.
 *
 *   IDLE     its container does not run, or runs without having been looked at.
 *   WAITING  somebody wants it and its container is on its way.
 *   PROBING  the container runs; readiness is being found out.
 *   READY    connections may be made to its address.
 *   FAILED   it did not become ready; its waiters have been told. The next demand tries again.
 *
 * From a demand until READY or FAILED one deadline runs, start_timeout. The idle clock runs while
 * the container is RUNNING, nobody holds a lease and nobody waits; when it ends, the container
 * sleeps if its other apps agree.
 *
 * The instance of a template may use a container only if it carries the template's label. As anybody
 * may have made a container of that name since it was last seen, it is inspected before each start,
 * and the app is admitted by what that says.
 */
#pragma once

#include <sys/queue.h>

#include "container.h"
#include "probe.h"

enum app_state { APP_IDLE, APP_WAITING, APP_PROBING, APP_READY, APP_FAILED };

struct lease;
struct client;

struct app {
    struct engine *engine;
    const struct config_app *config;
    struct config_app *own; /* config, when the app is an instance or a member; else NULL */
    bool labelled;          /* the instance of a template */
    bool kept;              /* while another configuration is put in force: it goes on */
    struct container *container;
    enum app_state state;
    usec_t since;  /* realtime: in this state since */
    bool demanded; /* somebody waits, or has waited and left: the wake goes on */
    /*
     * The container ran when the demand came: should it turn out to have ended meanwhile, it is
     * started, and the demand has not failed.
     */
    bool again;
    bool humble;  /* all who want it may not wake it: it is not started, and not stopped for them */
    bool looked;  /* seen holds */
    bool foreign; /* the container lacks the label */
    struct docker_container seen; /* the container's inspection, with this app's network and port */
    usec_t wake_began;
    usec_t wake_took; /* the last wake that succeeded; 0: none */
    sd_event_source *deadline;
    struct probe *probe;
    bool probing_health;          /* PROBING waits for Docker's HEALTHCHECK */
    struct proto_address address; /* READY: where it answers */
    enum proto_failure failure;   /* of the last start */
    char text[PROTO_TEXT_MAX];
    usec_t idle_since; /* when the last lease ended */
    sd_event_source *idle;
    size_t n_leases;
    TAILQ_HEAD(, lease) leases;    /* client.c's, those not yet ended */
    TAILQ_HEAD(, client) watchers; /* administrators that wait for it */
    bool suspect;                  /* see table_suspect() */
    TAILQ_ENTRY(app) in_suspects;
};

/* Whether it may use its container, as far as that is known. */
static inline bool app_is_admitted(const struct app *app) {
    return !app->labelled || (app->looked && !app->foreign);
}

int app_new(struct engine *engine, const struct config_app *config, struct container *container,
            struct app **ret_app);
/* Ends its leases and watchers with GONE or FAILED. */
void app_free(struct app *app);

/*
 * Wants it awake. The lease, which is in the app's list already (NULL: an administrator's order),
 * is told READY, STARTING or FAILED at once, and what becomes of it later.
 */
void app_wake(struct app *app, struct lease *lease);
/*
 * The same for one who may not wake it (PROTO_LEASE_AWAKE): app_is_awake() has said yes. Docker is
 * not asked. Should it turn out to have ended, the lease is told PROTO_FAILURE_ASLEEP.
 */
void app_join(struct app *app, struct lease *lease);
/* It is ready, or it runs and only its readiness is still to be found out. */
bool app_is_awake(const struct app *app);
/*
 * The lease's front was refused at the app's address: probes again before READY is repeated. wake:
 * whether it is to be started if it has ended.
 */
void app_doubt(struct app *app, struct lease *lease, bool wake);
/* An administrator's order, whoever uses it. */
void app_sleep(struct app *app);
/* A lease was added to or removed from its list. */
void app_leases_changed(struct app *app);
/* Nobody uses it, and its clock has run out. An app that never sleeps says no. */
bool app_may_sleep(const struct app *app);

/* What the container tells. */
void app_inspected(struct app *app);         /* seen is new; what follows from it comes after */
void app_container_running(struct app *app); /* or has been inspected again */
void app_container_lost(struct app *app);    /* it died; whether for good is not known yet */
void app_container_stopped(struct app *app, enum proto_failure failure, const char *text);
void app_container_changed(struct app *app); /* its state, for watchers */

extern const char app_foreign_text[]; /* why an app is foreign */

/* For the command line, and for fronts that wait. */
enum proto_state app_proto_state(const struct app *app);
void app_describe(const struct app *app, struct proto_app *ret_message);
