/*
 * docker_json.h - what the Docker Engine API's answers say, as plain structs.
 *
 * Pure: no I/O, no logging. Each function returns 0, or -EBADMSG when the text is not JSON of the
 * expected form (duplicate keys are refused), or -ENOMEM. Sources: Docker Engine API 1.41 to 1.52,
 * ContainerInspect, ContainerList and SystemEvents; Podman's compatible API where it differs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "util.h"

enum docker_status {
    DOCKER_CREATED,
    DOCKER_RUNNING,
    DOCKER_PAUSED,
    DOCKER_RESTARTING, /* its restart policy brings it back in a moment */
    DOCKER_REMOVING,
    DOCKER_EXITED,
    DOCKER_DEAD,
};

enum docker_health {
    DOCKER_HEALTH_NONE, /* the container has no HEALTHCHECK */
    DOCKER_HEALTH_STARTING,
    DOCKER_HEALTH_HEALTHY,
    DOCKER_HEALTH_UNHEALTHY,
};

enum {
    DOCKER_NAME_MAX = 256, /* a container's name with its NUL */
    DOCKER_ID_MAX = 72,
    DOCKER_MESSAGE_MAX = 200, /* an error message, cut */
};

/* The label that says which template a container is an instance of. */
#define DOCKER_LABEL "dockwake.app"

/* GET /containers/{id}/json */
struct docker_container {
    char id[DOCKER_ID_MAX];
    enum docker_status status;
    enum docker_health health;
    int exit_code;
    bool oom_killed;
    bool tty;                       /* its output is one stream without frames */
    char label[PROTO_NAME_MAX];     /* the value of DOCKER_LABEL; "" */
    usec_t started;                 /* realtime: its last start; 0: never */
    uint16_t exposed_port;          /* the only TCP port it exposes; 0: none or several */
    struct proto_address address;   /* in the network asked for, with port 0; AF_UNSPEC: none */
    struct proto_address published; /* of the port asked for, on this machine; AF_UNSPEC: none */
};

/*
 * network: the network whose address is wanted, NULL for the first that has one. port: the
 * container's port whose published address is wanted, 0 for its exposed one.
 */
int docker_parse_inspect(const char *text, size_t size, const char *network, uint16_t port,
                         struct docker_container *ret_container);

/* GET /containers/json: calls each() for every name of every container. A negative return ends it.
 */
struct docker_listed {
    const char *name;
    const char *label; /* the value of DOCKER_LABEL; "" */
    enum docker_status status;
};

int docker_parse_list(const char *text, size_t size,
                      int (*each)(void *userdata, const struct docker_listed *listed),
                      void *userdata);

/* One line of GET /events. Only containers' events matter; others give an empty action. */
struct docker_event {
    char action[64]; /* "start", "die", "health_status: healthy", ... in Docker's words */
    char name[DOCKER_NAME_MAX];
    char old_name[DOCKER_NAME_MAX]; /* action "rename" */
    char label[PROTO_NAME_MAX];     /* the value of DOCKER_LABEL; "" */
};

int docker_parse_event(const char *text, size_t size, struct docker_event *ret_event);

/* The "message" of an error's body, or the body's beginning where it is not JSON. Never fails. */
void docker_parse_message(const char *text, size_t size, char ret_text[static DOCKER_MESSAGE_MAX]);
