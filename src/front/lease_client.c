/*
 * lease_client.c - the connection to the engine: made when needed, sent to as far as it takes, lost.
 *
 * The engine leaves when everything sleeps and comes back through its socket. A connection that ends
 * is made anew only when a lease is asked for; otherwise the two would keep each other awake.
 */
#include <string.h>

#include "lease_internal.h"
#include "log.h"

/* Plans the next attempt, if anybody needs one. */
static void client_retry(struct lease_client *client) {
    if (client->source.fd >= 0 || TAILQ_EMPTY(&client->dirty) || timeout_armed(&client->retry)) {
        return;
    }
    timeout_arm(&client->retries, &client->retry, usec_add(client->loop->now, client->pause));
    client->pause = client->pause == 0                    ? LEASE_RETRY_FIRST
                    : client->pause * 2 < LEASE_RETRY_MAX ? client->pause * 2
                                                          : LEASE_RETRY_MAX;
}

static void client_lost(struct lease_client *client) {
    source_close(&client->source);
    client->full = false;
    leases_lost(client);
    lease_logs_lost(client);
    client_retry(client);
}

static void dispatch(struct lease_client *client, const union proto_message *message) {
    if (message->header.opcode == PROTO_LOG || message->header.opcode == PROTO_LOGS_END) {
        lease_logs_answer(client, message);
    } else {
        lease_answer(client, message);
    }
}

static void client_receive(struct lease_client *client) {
    union proto_message message;
    int fd = client->source.fd;
    int r;

    for (;;) {
        r = proto_receive(fd, PROTO_ENGINE_TO_FRONT, &message);
        if (r == -EAGAIN) {
            return;
        }
        if (r <= 0) {
            if (r == -EBADMSG || r == -EPERM) {
                log_error("The engine sent something that is not in the protocol");
            }
            client_lost(client);
            return;
        }
        /* It lives, and so the next one is looked for at once. */
        client->pause = 0;
        if (client->complained) {
            client->complained = false;
            log_notice("The engine can be reached again");
        }
        dispatch(client, &message);
        if (client->source.fd != fd) {
            return; /* lost while a handler was sending */
        }
    }
}

static void on_engine(struct source *source, uint32_t events) {
    struct lease_client *client = container_of(source, struct lease_client, source);

    if ((events & EPOLLOUT) != 0) {
        client->full = false;
    }
    client_receive(client);
    lease_client_flush(client);
}

void lease_client_connect(struct lease_client *client) {
    int fd;
    int r;

    if (client->source.fd >= 0) {
        return;
    }
    timeout_cancel(&client->retry);
    fd = proto_connect(client->path, true);
    if (fd >= 0) {
        client->source.fd = fd;
        r = loop_add(client->loop, &client->source);
        if (r == 0) {
            return;
        }
        source_close(&client->source);
        fd = r;
    }
    /* A restart is nothing to talk about; a second later it is. */
    if (client->pause == LEASE_RETRY_MAX && !client->complained) {
        client->complained = true;
        log_error("The engine cannot be reached at %s: %s", client->path, strerror(-fd));
    }
    client_retry(client);
}

static void on_retry(struct timeout *timeout) {
    struct lease_client *client = container_of(timeout, struct lease_client, retry);

    lease_client_connect(client);
    lease_client_flush(client);
}

/* Whether more may be sent after this result. */
static bool client_goes_on(struct lease_client *client, int r) {
    if (r == -EAGAIN) {
        client->full = true;
    } else if (r < 0) {
        client_lost(client);
    }
    return r == 0;
}

void lease_client_flush(struct lease_client *client) {
    struct lease *lease;

    if (client->source.fd < 0 && !TAILQ_EMPTY(&client->dirty) && !timeout_armed(&client->retry)) {
        if (client->pause == 0) {
            client->pause = LEASE_RETRY_FIRST;
            lease_client_connect(client);
        } else {
            client_retry(client);
        }
    }
    while (client->source.fd >= 0 && !client->full &&
           (lease = TAILQ_FIRST(&client->dirty)) != NULL) {
        if (client_goes_on(client, lease_send(lease))) {
            lease_clean(lease);
        }
    }
    if (client->source.fd >= 0 && !client->full) {
        client_goes_on(client, lease_logs_send(client));
    }
}

int lease_client_new(struct loop *loop, const char *path, const struct lease_handlers *handlers,
                     struct lease_client **ret_client) {
    struct lease_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return -ENOMEM;
    }
    client->source = (struct source){.fd = -1, .ready = on_engine};
    client->loop = loop;
    client->path = path;
    client->handlers = handlers;
    timeout_queue_init(&client->retries, on_retry);
    loop_add_queue(loop, &client->retries);
    leases_init(client);
    lease_logs_init(client);
    *ret_client = client;
    return 0;
}

void lease_client_free(struct lease_client *client) {
    if (client == NULL) {
        return;
    }
    source_close(&client->source);
    loop_unschedule(client->loop, &client->readers_lost);
    leases_done(client);
    free(client);
}
