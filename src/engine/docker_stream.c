/*
 * docker_stream.c - GET /events as a stream that is never given up.
 *
 * The body is a sequence of JSON objects, one a line. Pieces of any size come in; whole lines go
 * out. A line that is longer than LINE_SIZE_MAX or is not JSON ends the stream, which is then
 * connected again: what was missed comes with the listing that follows every up().
 *
 * The stream itself has no time limit (no event may come for days), but its head must come within
 * DOCKER_QUERY_TIMEOUT. After a loss the first try is made at once, then with pauses that double
 * from PAUSE_FIRST to PAUSE_LAST.
 */
#include "docker.h"
#include "docker_private.h"

#include <stdio.h>
#include <string.h>

enum { LINE_SIZE_MAX = 256 << 10 };
#define PAUSE_FIRST    (20 * USEC_PER_MSEC)
#define PAUSE_LAST     (2 * USEC_PER_SEC)
#define TIMER_ACCURACY USEC_PER_MSEC

/*
 * {"type":["container"],"event":[...]} without what healthchecks' exec_* events would wake us for.
 * "died" and "remove" are Podman's words for "die" and "destroy". With health_status in the list
 * Docker compares by prefix, so that "health_status: healthy" matches.
 */
#define EVENTS_PATH                                                                                \
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B"                    \
    "%22create%22%2C%22start%22%2C%22die%22%2C%22died%22%2C%22pause%22%2C%22unpause%22%2C"         \
    "%22destroy%22%2C%22remove%22%2C%22rename%22%2C%22health_status%22%5D%7D"

struct docker_stream {
    struct docker *docker;
    const struct docker_follower *follower;
    void *userdata;
    struct docker_call *call;
    sd_event_source *timer; /* the head's limit while connecting, the pause while lost */
    bool up;
    usec_t pause;
    char *line;
    size_t used;
};

static void stream_connect(struct docker_stream *stream);

static void stream_arm(struct docker_stream *stream, usec_t delay) {
    if (sd_event_source_set_time_relative(stream->timer, delay) < 0 ||
        sd_event_source_set_enabled(stream->timer, SD_EVENT_ONESHOT) < 0)
        sd_event_exit(docker_event_loop(stream->docker), -EIO); /* cannot be: a blind engine */
}

static void stream_lost(struct docker_stream *stream, const char *text) {
    usec_t pause = stream->pause;

    stream->call = NULL;
    stream->used = 0;
    docker_forget_version(stream->docker);
    if (stream->up) {
        stream->up = false;
        pause = 0;
        stream->pause = PAUSE_FIRST;
    } else {
        stream->pause = stream->pause * 2 < PAUSE_LAST ? stream->pause * 2 : PAUSE_LAST;
    }
    stream_arm(stream, pause);
    stream->follower->down(stream->userdata, text);
}

static int on_line(struct docker_stream *stream, const char *line, size_t size) {
    struct docker_event event;
    int r;

    if (size == 0 || (size == 1 && *line == '\r'))
        return 0;
    r = docker_parse_event(line, size, &event);
    if (r < 0)
        return r;
    if (event.action[0] && event.name[0])
        stream->follower->event(stream->userdata, &event);
    return 0;
}

static int on_piece(void *userdata, const char *data, size_t size) {
    struct docker_stream *stream = userdata;

    if (size == 0) { /* the head has come */
        stream->up = true;
        stream->pause = PAUSE_FIRST;
        sd_event_source_set_enabled(stream->timer, SD_EVENT_OFF);
        stream->follower->up(stream->userdata);
        return 0;
    }
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t part = newline ? (size_t)(newline - data) : size;
        int r;

        if (part > LINE_SIZE_MAX - stream->used)
            return -EMSGSIZE;
        memcpy(stream->line + stream->used, data, part);
        stream->used += part;
        if (!newline)
            return 0;
        r = on_line(stream, stream->line, stream->used);
        if (r < 0)
            return r;
        stream->used = 0;
        data += part + 1;
        size -= part + 1;
    }
    return 0;
}

static void on_end(void *userdata, const struct docker_result *result) {
    struct docker_stream *stream = userdata;

    stream_lost(stream, result->text[0] ? result->text : "Docker ended the stream of events");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct docker_stream *stream = userdata;

    (void)source;
    (void)usec;
    if (stream->call) {
        docker_call_free(stream->call);
        stream_lost(stream, "Docker did not begin the stream of events in time");
    } else {
        stream_connect(stream);
    }
    return 0;
}

static void stream_connect(struct docker_stream *stream) {
    int r = docker_call_start_full(stream->docker, "GET", EVENTS_PATH, 0, on_piece, on_end, stream,
                                   &stream->call);

    if (r < 0)
        stream_lost(stream, strerror(-r));
    else
        stream_arm(stream, DOCKER_QUERY_TIMEOUT);
}

int docker_stream_new(struct docker *docker, const struct docker_follower *follower, void *userdata,
                      struct docker_stream **ret_stream) {
    struct docker_stream *stream = calloc(1, sizeof(*stream));
    int r;

    if (!stream)
        return -ENOMEM;
    stream->docker = docker;
    stream->follower = follower;
    stream->userdata = userdata;
    stream->pause = PAUSE_FIRST;
    stream->line = malloc(LINE_SIZE_MAX);
    r = stream->line
            ? sd_event_add_time_relative(docker_event_loop(docker), &stream->timer, CLOCK_MONOTONIC,
                                         0, TIMER_ACCURACY, on_timer, stream)
            : -ENOMEM;
    if (r < 0) {
        docker_stream_free(stream);
        return r;
    }
    stream_connect(stream);
    *ret_stream = stream;
    return 0;
}

void docker_stream_free(struct docker_stream *stream) {
    if (!stream)
        return;
    docker_call_free(stream->call);
    sd_event_source_disable_unref(stream->timer);
    free(stream->line);
    free(stream);
}
