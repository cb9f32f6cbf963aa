/*
 * docker.c - calls to the engine API, each waiting for the version first.
 *
 * A call that is started while the version is unknown joins a queue; the first of them sends
 * GET /_ping. Its answer starts the queue, its failure fails the queue, each call with the reason.
 * Calls in the queue are few: the engine has at most a few calls for each container.
 */
#include "docker.h"
#include "docker_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum { PATH_SIZE_MAX = 1024, PING_BODY_MAX = 4096 };

TAILQ_HEAD(call_list, docker_call);

struct docker {
    sd_event *event;
    struct http *http;
    char *socket_path;
    unsigned minor;         /* of the API version 1.minor; 0: unknown */
    struct http_call *ping; /* in flight */
    struct call_list queue; /* calls that wait for the version */
    unsigned round;         /* counts pings, to tell the calls that wait for this one */
};

struct docker_call {
    struct docker *docker;
    TAILQ_ENTRY(docker_call) entry;
    bool queued;
    unsigned round;         /* docker->round when it was queued */
    struct http_call *http; /* in flight */
    const char *method;
    char *path;
    usec_t timeout;
    docker_piece piece;
    docker_done done;
    void *userdata;
};

static void call_destroy(struct docker_call *call) {
    if (call->queued)
        TAILQ_REMOVE(&call->docker->queue, call, entry);
    http_call_free(call->http);
    free(call->path);
    free(call);
}

static void call_fail(struct docker_call *call, int result, const char *text) {
    struct docker_result failure = {.result = result, .body = ""};

    snprintf(failure.text, sizeof(failure.text), "%s", text);
    call->done(call->userdata, &failure);
    call_destroy(call);
}

static void describe(const struct docker *docker, const struct http_answer *answer,
                     char text[static DOCKER_MESSAGE_MAX]) {
    text[0] = '\0';
    if (answer->result == -ETIMEDOUT)
        snprintf(text, DOCKER_MESSAGE_MAX, "Docker did not answer in time (%.100s)",
                 docker->socket_path);
    else if (answer->result == -ECONNREFUSED)
        snprintf(text, DOCKER_MESSAGE_MAX, "Docker cannot be reached at %.100s",
                 docker->socket_path);
    else if (answer->result == -EPIPE)
        snprintf(text, DOCKER_MESSAGE_MAX, "Docker closed the connection in mid-answer");
    else if (answer->result < 0)
        snprintf(text, DOCKER_MESSAGE_MAX, "Docker's answer could not be read: %.100s",
                 answer->text);
    else if (answer->status >= 400 || answer->status < 200)
        docker_parse_message(answer->body, answer->size, text);
}

static void on_answer(void *userdata, const struct http_answer *answer) {
    struct docker_call *call = userdata;
    struct docker_result result = {
        .result = answer->result,
        .status = answer->status,
        .body = answer->body,
        .size = answer->size,
    };

    describe(call->docker, answer, result.text);
    call->http = NULL; /* freed by its module */
    call->done(call->userdata, &result);
    call_destroy(call);
}

static int on_call_piece(void *userdata, const char *data, size_t size) {
    struct docker_call *call = userdata;

    return call->piece(call->userdata, data, size);
}

/* The URL's host matters to nobody on a Unix socket; Docker wants one all the same. */
static int call_send(struct docker_call *call) {
    char url[HTTP_URL_MAX];
    struct http_request request = {
        .method = call->method,
        .unix_socket = call->docker->socket_path,
        .url = url,
        .timeout = call->timeout,
        .piece = call->piece ? on_call_piece : NULL,
        .done = on_answer,
        .userdata = call,
    };

    snprintf(url, sizeof(url), "http://docker/v1.%u%s", call->docker->minor, call->path);
    return http_call_start(call->docker->http, &request, &call->http);
}

static void on_ping(void *userdata, const struct http_answer *answer) {
    struct docker *docker = userdata;
    struct docker_call *call;
    char text[DOCKER_MESSAGE_MAX];
    unsigned long minor = 0;
    int result = answer->result;

    docker->ping = NULL;
    describe(docker, answer, text);
    if (result == 0 && answer->status != 200) {
        result = -EPROTO;
    } else if (result == 0 &&
               (strncmp(answer->api_version, "1.", 2) != 0 ||
                (minor = strtoul(answer->api_version + 2, NULL, 10)) < DOCKER_API_OLDEST)) {
        snprintf(text, sizeof(text), "Docker speaks API version '%s', 1.%d or newer is needed",
                 answer->api_version, DOCKER_API_OLDEST);
        result = -EPROTO;
    }
    if (result == 0)
        docker->minor = minor < DOCKER_API_NEWEST ? (unsigned)minor : DOCKER_API_NEWEST;

    /* Callbacks may end calls of the queue, and start others, which wait for the next ping. */
    docker->round++;
    while ((call = TAILQ_FIRST(&docker->queue)) && call->round != docker->round) {
        int r = result;

        TAILQ_REMOVE(&docker->queue, call, entry);
        call->queued = false;
        if (r == 0) {
            r = call_send(call);
            if (r == 0)
                continue;
            snprintf(text, sizeof(text), "Docker cannot be called: %s", strerror(-r));
        }
        call_fail(call, r, text);
    }
}

static int ping_start(struct docker *docker) {
    struct http_request request = {
        .method = "GET",
        .unix_socket = docker->socket_path,
        .url = "http://docker/_ping",
        .timeout = DOCKER_PING_TIMEOUT,
        .limit = PING_BODY_MAX,
        .done = on_ping,
        .userdata = docker,
    };

    return http_call_start(docker->http, &request, &docker->ping);
}

int docker_call_start_full(struct docker *docker, const char *method, const char *path,
                           usec_t timeout, docker_piece piece, docker_done done, void *userdata,
                           struct docker_call **ret_call) {
    struct docker_call *call;
    int r;

    if (strlen(path) > PATH_SIZE_MAX)
        return -ENAMETOOLONG;
    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (struct docker_call){
        .docker = docker,
        .method = method,
        .path = strdup(path),
        .timeout = timeout,
        .piece = piece,
        .done = done,
        .userdata = userdata,
    };
    if (!call->path) {
        r = -ENOMEM;
        goto fail;
    }
    if (docker->minor > 0) {
        r = call_send(call);
    } else {
        r = docker->ping ? 0 : ping_start(docker);
        if (r == 0) {
            TAILQ_INSERT_TAIL(&docker->queue, call, entry);
            call->queued = true;
            call->round = docker->round;
        }
    }
    if (r < 0)
        goto fail;
    *ret_call = call;
    return 0;

fail:
    call_destroy(call);
    return r;
}

int docker_call_start(struct docker *docker, const char *method, const char *path, usec_t timeout,
                      docker_done done, void *userdata, struct docker_call **ret_call) {
    return docker_call_start_full(docker, method, path, timeout, NULL, done, userdata, ret_call);
}

void docker_call_free(struct docker_call *call) {
    if (call)
        call_destroy(call);
}

void docker_forget_version(struct docker *docker) {
    docker->minor = 0;
}

sd_event *docker_event_loop(struct docker *docker) {
    return docker->event;
}

int docker_new(sd_event *event, struct http *http, const char *socket_path,
               struct docker **ret_docker) {
    struct docker *docker = calloc(1, sizeof(*docker));

    if (!docker)
        return -ENOMEM;
    docker->event = sd_event_ref(event);
    docker->http = http;
    TAILQ_INIT(&docker->queue);
    docker->socket_path = strdup(socket_path);
    if (!docker->socket_path) {
        docker_free(docker);
        return -ENOMEM;
    }
    *ret_docker = docker;
    return 0;
}

void docker_free(struct docker *docker) {
    if (!docker)
        return;
    http_call_free(docker->ping);
    sd_event_unref(docker->event);
    free(docker->socket_path);
    free(docker);
}
