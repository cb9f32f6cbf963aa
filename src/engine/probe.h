/*
 * probe.h - finding out, within milliseconds, that a program answers.
 *
 * A probe tries until it succeeds or is freed; it has no time limit of its own, its owner has. The
 * pause after a failed try is 1/32 of the time already spent, at least 1 ms and at most the spec's
 * interval: what comes up quickly is noticed at once, and a slow start costs few tries.
 */
#pragma once

#include "config.h"
#include "http.h"

enum probe_kind {
    PROBE_TCP,   /* a connection is accepted */
    PROBE_HTTP,  /* a GET is answered with an expected status */
    PROBE_GRACE, /* the time is over */
};

struct probe_spec {
    enum probe_kind kind;
    struct proto_address address;
    /*
     * The address is a published port, where a proxy of the engine's (docker-proxy) accepts before
     * the container does and closes again when it cannot connect: an accepted connection must stay
     * open for PROBE_HOLD.
     */
    bool published;
    const char *path; /* HTTP */
    const char *host; /* HTTP: the Host field; NULL: the address */
    size_t n_expect;
    const struct config_status_range *expect;
    usec_t interval;
    usec_t grace;
};

#define PROBE_HOLD            (25 * USEC_PER_MSEC)
#define PROBE_CONNECT_TIMEOUT (1 * USEC_PER_SEC)
#define PROBE_HTTP_TIMEOUT    (5 * USEC_PER_SEC)
enum { PROBE_HTTP_LIMIT = 64 << 10, PROBE_TEXT_MAX = 160 };

struct probe;

/*
 * The spec's pointers must outlive the probe. ready() comes once, from the event loop; the owner
 * frees the probe, also from within it.
 */
int probe_new(sd_event *event, struct http *http, const struct probe_spec *spec,
              void (*ready)(void *userdata), void *userdata, struct probe **ret_probe);
void probe_free(struct probe *probe);

/* Why the last try failed, for a person: "connection refused at 172.17.0.2:80". */
const char *probe_text(const struct probe *probe);
