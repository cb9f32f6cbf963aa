/*
 * engine.h - what the engine's parts share: the table of apps and containers, and Docker.
 *
 * Ownership: the engine owns containers, containers own nothing but their calls and timers, the
 * engine owns apps, a client owns its leases. Layers, each calling down and told of changes by the
 * functions named in its header:
 *
 *     client.c      the two sockets, who is connected, what they are told; client_leases.c,
 *                   client_logs.c
 *     request.c     the permit table, and what is asked                      (tells apps)
 *     app.c         an app's readiness, its waiters, its idle clock          (tells containers)
 *     container.c   what a container does and is asked to do                 (calls Docker)
 *     table.c       which apps and containers there are
 *     engine.c      Docker's listing and events, leaving
 */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "docker.h"
#include "util.h"

/* How exactly timers are kept: what a client waits for, and what only has to happen some time. */
#define ENGINE_TIMER_EXACT  USEC_PER_MSEC
#define ENGINE_TIMER_COARSE (100 * USEC_PER_MSEC)

enum { ENGINE_LOGS_MAX = 64 }; /* logs that are read at a time, for all fronts */

struct app;
struct container;
struct server;

struct engine {
    sd_event *event;
    struct http *http;
    struct docker *docker;
    struct docker_stream *stream; /* NULL until Docker has to be asked */
    struct docker_call *list;     /* in flight */
    bool list_again;              /* the listing in flight is out of date */
    bool listed;                  /* Docker's listing has been seen since the stream stands */
    bool stream_up;
    bool outage;            /* the loss of the stream has been logged */
    sd_event_source *retry; /* lists again after a failure */
    usec_t look_began;      /* since when Docker is asked without an answer; 0: it is not */
    uint64_t round;         /* counts listings: which containers were in the last one */

    struct config_paths paths;
    struct config *config;
    size_t n_apps;
    struct app **apps;          /* sorted by name; see table.h */
    size_t n_instances;         /* of templates among them */
    TAILQ_HEAD(, app) suspects; /* see table_suspect() */
    size_t n_containers;
    struct container **containers; /* sorted by name */
    size_t n_logs;                 /* that are being read */

    struct server *server;
    size_t n_inspecting; /* containers whose inspection is in flight */
    size_t n_active;     /* containers that the engine has to stay for */
    bool waits;          /* nobody has connected yet, and ENGINE_FIRST_CLIENT is not over */
    const char *marker;  /* exists while n_active > 0: see engine_look() */
    bool marked;
};

/* How long Docker may stay silent before an engine that nobody needs gives up looking. */
#define ENGINE_LOOK_TIMEOUT (60 * USEC_PER_SEC)

/*
 * A new engine with the table as it can be read: errors in it are logged. The paths' and the
 * marker's strings must outlive it. It ends the loop by itself (sd_event_exit(3)) when nobody is
 * connected and nothing is awake: with 0, or with ENGINE_EXIT_AGAIN when it wants to be started
 * afresh.
 */
enum { ENGINE_EXIT_AGAIN = 75 /* EX_TEMPFAIL */ };
int engine_new(sd_event *event, const struct config_paths *paths, const char *marker,
               struct engine **ret_engine);
/* An engine that is started with the front, not by it, waits so long for its first client. */
#define ENGINE_FIRST_CLIENT (3 * USEC_PER_SEC)
/* Takes over both listening sockets (-1: none), and looks at Docker where the marker says so. */
int engine_serve(struct engine *engine, int front_fd, int admin_fd);
void engine_free(struct engine *engine);

/*
 * Reads the configuration anew (SIGHUP). With any error in it the old table stays; each error is
 * logged. Returns 0, or -EINVAL for a refused table.
 */
int engine_reload(struct engine *engine);

/*
 * Begins to follow Docker, unless it is followed already: the stream of events, then the listing.
 * Docker is asked nothing before the first lease or request, so that a front that turns all its
 * clients away costs Docker nothing. An engine that finds its marker, a file below /run, died or
 * was restarted while something was awake, and looks at once.
 */
void engine_look(struct engine *engine);

/* Everything that Docker was asked has been answered: what is known is what is. */
bool engine_is_settled(const struct engine *engine);

/* A container became active, or is no longer; an inspection began or ended. */
void engine_count_active(struct engine *engine, int change);
void engine_count_inspecting(struct engine *engine, int change);
