/*
 * probe.c - see probe.h.
 *
 * One timer serves every wait: for the next try, for a connection that neither opens nor fails, for
 * the end of the hold and of the grace time. A try is either a socket that connects (fd and its I/O
 * source) or an HTTP call; at most one is under way.
 */
#include "probe.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PAUSE_FIRST USEC_PER_MSEC
#define PAUSE_PART  32 /* of the time spent so far */

struct probe {
    sd_event *event;
    struct http *http;
    struct probe_spec spec;
    void (*ready)(void *userdata);
    void *userdata;
    usec_t began;
    sd_event_source *timer;
    sd_event_source *io; /* owns fd */
    int fd;
    bool holding; /* connected to a published port, waiting whether it stays open */
    struct http_call *call;
    char text[PROBE_TEXT_MAX];
};

static int probe_try(struct probe *probe);

static void probe_arm(struct probe *probe, usec_t delay) {
    sd_event_source_set_time_relative(probe->timer, delay);
    sd_event_source_set_enabled(probe->timer, SD_EVENT_ONESHOT);
}

static void probe_disconnect(struct probe *probe) {
    probe->io = sd_event_source_disable_unref(probe->io);
    probe->fd = safe_close(probe->fd);
    probe->holding = false;
}

static void probe_succeed(struct probe *probe) {
    probe_disconnect(probe);
    sd_event_source_set_enabled(probe->timer, SD_EVENT_OFF);
    probe->ready(probe->userdata); /* frees the probe */
}

static void probe_fail(struct probe *probe, const char *what) {
    char address[PROTO_ADDRESS_TEXT_MAX];
    usec_t pause = usec_sub(now_usec(CLOCK_MONOTONIC), probe->began) / PAUSE_PART;

    proto_address_format(&probe->spec.address, address);
    snprintf(probe->text, sizeof(probe->text), "%s at %s", what, address);
    probe_disconnect(probe);
    if (pause < PAUSE_FIRST)
        pause = PAUSE_FIRST;
    if (pause > probe->spec.interval)
        pause = probe->spec.interval;
    probe_arm(probe, pause);
}

static void probe_fail_errno(struct probe *probe, int error) {
    char what[64];

    if (error == ECONNREFUSED)
        snprintf(what, sizeof(what), "connection refused");
    else
        snprintf(what, sizeof(what), "cannot connect (%s)", strerror(error));
    probe_fail(probe, what);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct probe *probe = userdata;
    int error = 0;
    socklen_t length = sizeof(error);

    (void)source;
    if (probe->holding) {
        /* Closed, or the program has greeted: only the first means that nobody is there. */
        char byte;
        ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        if (n > 0)
            probe_succeed(probe);
        else if (n == 0 || errno != EAGAIN)
            probe_fail(probe, "connection accepted and closed again");
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error) {
        probe_fail_errno(probe, error);
    } else if (!probe->spec.published) {
        probe_succeed(probe);
    } else if (!(revents & EPOLLOUT)) {
        probe_fail(probe, "connection accepted and closed again");
    } else {
        probe->holding = true;
        sd_event_source_set_io_events(probe->io, EPOLLIN | EPOLLRDHUP);
        probe_arm(probe, PROBE_HOLD);
    }
    return 0;
}

static int try_tcp(struct probe *probe) {
    struct sockaddr_storage sa;
    socklen_t length;
    int r;

    proto_address_to_sockaddr(&probe->spec.address, &sa, &length);
    probe->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return -errno;
    if (connect(probe->fd, (struct sockaddr *)&sa, length) < 0 && errno != EINPROGRESS)
        return -errno;
    r = sd_event_add_io(probe->event, &probe->io, probe->fd, EPOLLOUT, on_io, probe);
    if (r < 0)
        return r;
    probe_arm(probe, PROBE_CONNECT_TIMEOUT);
    return 0;
}

/* --- HTTP ----------------------------------------------------------------------------------- */

static void on_answer(void *userdata, const struct http_answer *answer) {
    struct probe *probe = userdata;
    char what[128];

    probe->call = NULL;
    for (size_t i = 0; i < probe->spec.n_expect; i++)
        if (answer->status >= probe->spec.expect[i].low &&
            answer->status <= probe->spec.expect[i].high) {
            probe_succeed(probe);
            return;
        }
    if (answer->status > 0)
        snprintf(what, sizeof(what), "GET %.60s was answered with status %ld", probe->spec.path,
                 answer->status);
    else if (answer->result == -ECONNREFUSED)
        snprintf(what, sizeof(what), "connection refused");
    else
        snprintf(what, sizeof(what), "GET %.60s: %s", probe->spec.path, strerror(-answer->result));
    probe_fail(probe, what);
}

static int try_http(struct probe *probe) {
    char address[PROTO_ADDRESS_TEXT_MAX], url[HTTP_URL_MAX];
    struct http_request request = {
        .method = "GET",
        .url = url,
        .host = probe->spec.host,
        .timeout = PROBE_HTTP_TIMEOUT,
        .limit = PROBE_HTTP_LIMIT,
        .fresh = true,
        .done = on_answer,
        .userdata = probe,
    };

    proto_address_format(&probe->spec.address, address);
    snprintf(url, sizeof(url), "http://%s%s", address, probe->spec.path);
    return http_call_start(probe->http, &request, &probe->call);
}

/* --- common --------------------------------------------------------------------------------- */

static int probe_try(struct probe *probe) {
    switch (probe->spec.kind) {
    case PROBE_TCP:
        return try_tcp(probe);
    case PROBE_HTTP:
        return try_http(probe);
    case PROBE_GRACE:
        probe_arm(probe, probe->spec.grace);
        return 0;
    }
    return -EINVAL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct probe *probe = userdata;
    int r;

    (void)source;
    (void)usec;
    if (probe->spec.kind == PROBE_GRACE || probe->holding) {
        probe_succeed(probe);
    } else if (probe->fd >= 0) {
        probe_fail(probe, "connection not answered");
    } else {
        r = probe_try(probe);
        if (r < 0)
            probe_fail_errno(probe, -r);
    }
    return 0;
}

int probe_new(sd_event *event, struct http *http, const struct probe_spec *spec,
              void (*ready)(void *userdata), void *userdata, struct probe **ret_probe) {
    struct probe *probe = calloc(1, sizeof(*probe));
    int r;

    if (!probe)
        return -ENOMEM;
    *probe = (struct probe){
        .event = sd_event_ref(event),
        .http = http,
        .spec = *spec,
        .ready = ready,
        .userdata = userdata,
        .began = now_usec(CLOCK_MONOTONIC),
        .fd = -1,
    };
    r = sd_event_add_time_relative(event, &probe->timer, CLOCK_MONOTONIC, 0, 1, on_timer, probe);
    if (r < 0) {
        probe_free(probe);
        return r;
    }
    /* The first try is made by the timer, at once: ready() never comes from within probe_new(). */
    if (spec->kind == PROBE_GRACE)
        probe_arm(probe, spec->grace);
    *ret_probe = probe;
    return 0;
}

void probe_free(struct probe *probe) {
    if (!probe)
        return;
    probe_disconnect(probe);
    http_call_free(probe->call);
    sd_event_source_disable_unref(probe->timer);
    sd_event_unref(probe->event);
    free(probe);
}

const char *probe_text(const struct probe *probe) {
    return probe->text;
}
