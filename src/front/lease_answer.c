/*
 * lease_answer.c - what the engine is told about a lease, and what its answers make of it: see
 * lease.c for what is asked, sent and ready.
 */
#include <string.h>

#include "lease_internal.h"
#include "log.h"

/* Nobody who waits for it may wake it; or nobody of those who use it, when none waits. */
static bool lease_is_humble(const struct lease *lease) {
    return (lease->n_waiters > 0 ? lease->n_waiting_wakers : lease->n_wakers) == 0;
}

int lease_send(struct lease *lease) {
    struct lease_client *client = lease->client;
    union proto_message message = {0};
    enum proto_opcode opcode = PROTO_LEASE;
    uint32_t serial = lease->serial;
    int r;

    if (!lease->asked && lease->sent) {
        opcode = PROTO_RELEASE;
    } else if (lease->asked && !lease->sent) {
        serial = client->serial + 1;
    } else if (lease->doubt) {
        message.lease.flags = PROTO_LEASE_DOUBT;
    } else {
        return 0; /* taken back before it was sent */
    }
    if (opcode == PROTO_LEASE && lease_is_humble(lease)) {
        message.lease.flags |= PROTO_LEASE_AWAKE;
    }
    message.lease.serial = serial;
    memcpy(message.lease.app, lease->app, sizeof(lease->app));
    r = proto_send(client->source.fd, opcode, &message);
    if (r < 0) {
        return r;
    }
    lease->doubt = false;
    if (opcode == PROTO_RELEASE) {
        lease_end(lease);
    } else {
        client->serial = lease->serial = serial;
        lease->sent = true;
    }
    return 0;
}

static void on_ready(struct lease *lease, const struct proto_ready *message) {
    bool same =
        lease->known && memcmp(&lease->address, &message->address, sizeof(lease->address)) == 0;

    if (!same) {
        lease_deny(lease);
    }
    lease->known = true;
    lease->ready = true;
    lease->doubt = false;
    lease->renewals = 0;
    lease->version++;
    lease->address = message->address;
    lease->client->handlers->ended(lease->client->loop, lease->app, PROTO_FAILURE_NONE, "");
    waiters_ready(lease);
    lease_wake_ended(lease);
}

/* The name and the text end within their members: proto_check() has seen to it. */
static void on_failed(struct lease *lease, const struct proto_failed *message) {
    enum proto_failure failure = message->failure < PROTO_FAILURE_MAX
                                     ? (enum proto_failure)message->failure
                                     : PROTO_FAILURE_DOCKER;
    const char *reason = message->text[0] != '\0' ? message->text : proto_failure_name(failure);
    bool asleep = failure == PROTO_FAILURE_ASLEEP;

    lease_end(lease);
    lease_deny(lease);
    if (!asleep) {
        lease->renewals = 0;
        log_warning("%s: not woken: %s", lease->app, reason);
        lease->client->handlers->ended(lease->client->loop, lease->app, failure, reason);
    }
    waiters_failed(lease, !asleep, failure, reason);
    lease_wake_ended(lease);
    lease_renew(lease);
}

static void on_gone(struct lease *lease) {
    lease_end(lease);
    lease_wake_ended(lease);
    lease_deny(lease);
    lease_renew(lease);
}

void lease_answer(struct lease_client *client, const union proto_message *message) {
    /* All five begin alike up to the serial; the name's place differs. */
    const char *app = message->header.opcode == PROTO_READY    ? message->ready.app
                      : message->header.opcode == PROTO_FAILED ? message->failed.app
                                                               : message->lease.app;
    struct lease *lease = strmap_get(&client->by_app, app, strlen(app));

    if (lease == NULL || !lease->sent || lease->serial != message->lease.serial) {
        return;
    }
    switch (message->header.opcode) {
    case PROTO_STARTING:
        lease->ready = false;
        lease->waking = true;
        waiters_progress(lease, PROTO_STATE_STARTING);
        break;
    case PROTO_PROGRESS:
        if (message->progress.state < PROTO_STATE_MAX) {
            waiters_progress(lease, (enum proto_state)message->progress.state);
        }
        break;
    case PROTO_READY:
        on_ready(lease, &message->ready);
        break;
    case PROTO_FAILED:
        on_failed(lease, &message->failed);
        break;
    case PROTO_GONE:
        on_gone(lease);
        break;
    }
}

_Static_assert(offsetof(struct proto_lease, serial) == offsetof(struct proto_ready, serial) &&
                   offsetof(struct proto_lease, serial) == offsetof(struct proto_failed, serial) &&
                   offsetof(struct proto_lease, app) == offsetof(struct proto_progress, app) &&
                   offsetof(struct proto_lease, serial) == offsetof(struct proto_progress, serial),
               "lease_answer() reads serial and name before it looks at the opcode");

void leases_lost(struct lease_client *client) {
    struct lease *lease;

    TAILQ_FOREACH (lease, &client->all, in_all) {
        lease->sent = lease->doubt = false;
        lease->waking = false; /* it is asked for anew by those who still wait */
        if (lease->asked && lease->n_users > 0) {
            if (!lease->dirty) {
                lease->dirty = true;
                TAILQ_INSERT_TAIL(&client->dirty, lease, in_dirty);
            }
        } else {
            lease_end(lease);
            lease_wake_ended(lease);
        }
    }
}
