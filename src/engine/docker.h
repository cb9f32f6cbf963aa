/*
 * docker.h - the Docker Engine API (or Podman's) over a Unix socket.
 *
 * The version is negotiated before the first call: the lower of ours and the daemon's, as
 * GET /_ping tells it in Api-Version. It is asked again after the connection to the daemon was
 * lost, which may have been replaced by another.
 */
#pragma once

#include "docker_json.h"
#include "http.h"
#include "util.h"

enum {
    DOCKER_API_OLDEST = 41, /* 1.41: Docker 20.10, Podman 4 */
    DOCKER_API_NEWEST = 52, /* 1.52: Docker 29 */
};

#define DOCKER_PING_TIMEOUT  (10 * USEC_PER_SEC)
#define DOCKER_QUERY_TIMEOUT (20 * USEC_PER_SEC) /* inspect, list */

struct docker;
struct docker_call;

int docker_new(sd_event *event, struct http *http, const char *socket_path,
               struct docker **ret_docker);
/* All calls must have ended. NULL is fine. */
void docker_free(struct docker *docker);

struct docker_result {
    int result; /* 0, or http.h's reasons why there is no answer */
    long status;
    const char *body; /* while the callback runs */
    size_t size;
    char text[DOCKER_MESSAGE_MAX]; /* for a person: why it failed; "" for a 2xx or 304 */
};

typedef void (*docker_done)(void *userdata, const struct docker_result *result);

/*
 * Calls path (from the version on: "/containers/NAME/start"). The callback comes exactly once, from
 * the event loop, unless docker_call_free() was called. The call is freed after it: its owner
 * forgets the pointer in the callback.
 */
int docker_call_start(struct docker *docker, const char *method, const char *path, usec_t timeout,
                      docker_done done, void *userdata, struct docker_call **ret_call);
void docker_call_free(struct docker_call *call);

/* To be called when the daemon's connection was lost: the version is asked again. */
void docker_forget_version(struct docker *docker);

/*
 * Follows GET /events for ever: connects again after a loss, at once and then with growing pauses.
 * up() is called each time the stream stands (what happened before is not in it: list), down() when
 * it was lost, with the reason; event() for each container's event.
 */
struct docker_follower {
    void (*up)(void *userdata);
    void (*down)(void *userdata, const char *text);
    void (*event)(void *userdata, const struct docker_event *event);
};

struct docker_stream;

int docker_stream_new(struct docker *docker, const struct docker_follower *follower, void *userdata,
                      struct docker_stream **ret_stream);
void docker_stream_free(struct docker_stream *stream);
