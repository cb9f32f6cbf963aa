/*
 * lease.c - see lease.h.
 *
 * A lease is three questions. Do we want it (asked)? Does the engine of this connection know so
 * (sent)? Do we know an address (ready)?
 *
 *   asked sent ready
 *     -    -    -    nobody uses the app, or the lease ended while older connections go on
 *     x    -    -    to be asked for, as soon as the engine takes a packet
 *     x    x    -    the engine is waking the app, or looks at it again (doubt)
 *     x    x    x    warm: a new user is given the address at once
 *     x    -    x    the engine went away; the address still serves, the lease is taken again
 *
 * What differs between asked and sent, and a doubt not yet told, makes a lease dirty. Dirty leases
 * are brought in line by sending; what the engine is told follows from the state at that moment, so
 * there is no queue that could grow, and what was taken back before it was sent is never sent.
 *
 * FAILED and GONE end a lease (asked and sent are cleared). A GONE that crosses a doubt leaves
 * waiters behind: the lease is taken anew for them. Answers carry the serial of the LEASE they
 * belong to; others are about a lease given back meanwhile and are dropped.
 *
 * The engine leaves when everything sleeps and comes back through its socket. A connection that
 * ends is made anew only when a lease is asked for; otherwise the two would keep each other awake.
 */
#include "lease.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "strmap.h"

struct lease {
    struct lease_client *client;
    char app[PROTO_NAME_MAX];
    bool asked, sent, ready;      /* see above */
    bool doubt;                   /* the engine is to look again; only while sent */
    bool dirty;                   /* on the client's list of those that have something to send */
    bool extended;                /* the deadline was already put off once */
    uint32_t serial;              /* of the last LEASE */
    uint32_t version;             /* of the address: counts READYs */
    struct proto_address address; /* when ready */
    unsigned renewals;            /* leases that ended since the last READY */
    size_t n_users;               /* connections, waiting and busy */
    size_t n_waiters;
    TAILQ_HEAD(, lease_user) waiters;
    usec_t start_timeout, stop_timeout; /* of the app */
    struct timeout deadline;            /* for all waiters; runs from the first one on */
    struct timeout release;             /* the last user has left */
    usec_t complained;                  /* when an error was last logged; 0: never */
    TAILQ_ENTRY(lease) in_dirty;
    TAILQ_ENTRY(lease) in_all;
};

struct lease_client {
    struct source source; /* the connection to the engine */
    struct loop *loop;
    const char *path;
    const struct lease_handlers *handlers;
    struct strmap by_app; /* a lease stays for good once it was used: as many as apps at most */
    TAILQ_HEAD(, lease) all;
    TAILQ_HEAD(, lease) dirty;
    uint32_t serial; /* the last one used */
    bool full;       /* the engine's queue takes no more for now */
    bool complained; /* that the engine cannot be reached */
    usec_t pause;    /* before the next attempt to connect; 0: at once */
    struct timeout retry;
    struct timeout_queue retries, deadlines, releases;
};

static void client_flush(struct lease_client *client);

/* --- one lease --------------------------------------------------------------------------------- */

static void lease_clean(struct lease *lease) {
    if (lease->dirty) {
        lease->dirty = false;
        TAILQ_REMOVE(&lease->client->dirty, lease, in_dirty);
    }
}

static void lease_touch(struct lease *lease) {
    if (!lease->dirty) {
        lease->dirty = true;
        TAILQ_INSERT_TAIL(&lease->client->dirty, lease, in_dirty);
    }
    client_flush(lease->client);
}

/* The engine has ended it, or it was given back. */
static void lease_end(struct lease *lease) {
    lease->asked = lease->sent = lease->ready = lease->doubt = false;
    lease_clean(lease);
}

static void waiter_add(struct lease *lease, struct lease_user *user) {
    user->waiting = true;
    TAILQ_INSERT_TAIL(&lease->waiters, user, link);
    if (lease->n_waiters++ == 0) {
        lease->extended = false;
        timeout_arm(
            &lease->client->deadlines, &lease->deadline,
            usec_add(lease->client->loop->now, usec_add(lease->start_timeout, LEASE_PATIENCE)));
    }
}

static void waiter_remove(struct lease_user *user) {
    struct lease *lease = user->lease;

    if (!user->waiting) {
        return;
    }
    user->waiting = false;
    TAILQ_REMOVE(&lease->waiters, user, link);
    if (--lease->n_waiters == 0) {
        timeout_cancel(&lease->deadline);
    }
}

/* Tells those who wait now; one may begin to wait anew, behind them, and end the readiness. */
static void waiters_ready(struct lease *lease) {
    struct lease_user *user;

    for (size_t n = lease->n_waiters; n > 0 && lease->ready; n--) {
        user = TAILQ_FIRST(&lease->waiters);
        if (user == NULL) {
            return;
        }
        waiter_remove(user);
        user->version = lease->version;
        lease->client->handlers->ready(user, &lease->address);
    }
}

static void waiters_failed(struct lease *lease, enum proto_failure failure, const char *reason) {
    struct lease_user *user;

    for (size_t n = lease->n_waiters; n > 0; n--) {
        user = TAILQ_FIRST(&lease->waiters);
        if (user == NULL) {
            return;
        }
        waiter_remove(user);
        lease->client->handlers->failed(user, failure, reason);
    }
}

static struct lease *lease_get(struct lease_client *client, const char *app) {
    struct lease *lease = strmap_get(&client->by_app, app, strlen(app));

    if (lease != NULL) {
        return lease;
    }
    lease = calloc(1, sizeof(*lease));
    if (lease == NULL) {
        return NULL;
    }
    lease->client = client;
    snprintf(lease->app, sizeof(lease->app), "%s", app);
    TAILQ_INIT(&lease->waiters);
    if (strmap_put(&client->by_app, lease->app, strlen(lease->app), lease) < 0) {
        free(lease);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&client->all, lease, in_all);
    return lease;
}

int lease_take(struct lease_client *client, struct lease_user *user, const struct config_app *app,
               struct proto_address *ret_address) {
    struct lease *lease = lease_get(client, app->name);
    bool asked;

    if (lease == NULL) {
        return -ENOMEM;
    }
    lease->start_timeout = app->start_timeout;
    lease->stop_timeout = app->stop_timeout;
    lease->n_users++;
    timeout_cancel(&lease->release);
    *user = (struct lease_user){.lease = lease};
    asked = lease->asked;
    lease->asked = true; /* a RELEASE that was not sent yet is taken back */
    if (lease->ready) {
        user->version = lease->version;
        *ret_address = lease->address;
        return 1;
    }
    waiter_add(lease, user);
    if (!asked) {
        lease_touch(lease);
    }
    return 0;
}

int lease_doubt(struct lease_user *user, struct proto_address *ret_address) {
    struct lease *lease = user->lease;

    if (lease->ready && lease->version != user->version) {
        user->version = lease->version;
        *ret_address = lease->address;
        return 1;
    }
    waiter_add(lease, user);
    if (!lease->asked) {
        lease->asked = true;
        lease_touch(lease);
    } else if (lease->ready) {
        lease->ready = false;
        lease->doubt = lease->sent; /* not sent: the LEASE that is due asks the same */
        lease_touch(lease);
    }
    return 0;
}

void lease_leave(struct lease_user *user) {
    struct lease *lease = user->lease;

    if (lease == NULL) {
        return;
    }
    waiter_remove(user);
    user->lease = NULL;
    if (--lease->n_users == 0 && lease->asked) {
        timeout_arm(&lease->client->releases, &lease->release,
                    usec_add(lease->client->loop->now, LEASE_RELEASE_DELAY));
    }
}

const char *lease_app(const struct lease_user *user) {
    return user->lease->app;
}

bool lease_may_complain(struct lease_user *user) {
    struct lease *lease = user->lease;
    usec_t now = lease->client->loop->now;

    if (lease->complained != 0 && now < usec_add(lease->complained, LEASE_COMPLAINT_PAUSE)) {
        return false;
    }
    lease->complained = now;
    return true;
}

static void on_release(struct timeout *timeout) {
    struct lease *lease = container_of(timeout, struct lease, release);

    lease->asked = false;
    if (lease->sent) {
        lease_touch(lease);
    } else {
        lease_end(lease);
    }
}

static void on_deadline(struct timeout *timeout) {
    struct lease *lease = container_of(timeout, struct lease, deadline);
    struct lease_client *client = lease->client;
    bool connected = client->source.fd >= 0;
    const char *reason =
        connected ? "the engine has not answered in time" : "the engine cannot be reached";

    /* It may have to wait for the end of a stop before it can start. */
    if (connected && !lease->extended) {
        lease->extended = true;
        timeout_arm(&client->deadlines, timeout, usec_add(client->loop->now, lease->stop_timeout));
        return;
    }
    log_error("%s: not woken: %s", lease->app, reason);
    waiters_failed(lease, connected ? PROTO_FAILURE_TIMEOUT : PROTO_FAILURE_DOCKER, reason);
}

/* --- what the engine says ---------------------------------------------------------------------- */

static void on_ready(struct lease *lease, const struct proto_ready *message) {
    lease->ready = true;
    lease->doubt = false;
    lease->renewals = 0;
    lease->version++;
    lease->address = message->address;
    waiters_ready(lease);
}

/* The name and the text end within their members: proto_check() has seen to it. */
static void on_failed(struct lease *lease, const struct proto_failed *message) {
    enum proto_failure failure = message->failure < PROTO_FAILURE_MAX
                                     ? (enum proto_failure)message->failure
                                     : PROTO_FAILURE_DOCKER;
    const char *reason = message->text[0] != '\0' ? message->text : proto_failure_name(failure);

    lease_end(lease);
    log_warning("%s: not woken: %s", lease->app, reason);
    waiters_failed(lease, failure, reason);
}

static void on_gone(struct lease *lease) {
    lease_end(lease);
    if (lease->n_waiters == 0) {
        return;
    }
    if (++lease->renewals > LEASE_RENEWALS_MAX) {
        lease->renewals = 0;
        log_warning("%s: not woken: it is put to sleep again and again", lease->app);
        waiters_failed(lease, PROTO_FAILURE_STOPPED, "it is being put to sleep again and again");
        return;
    }
    lease->asked = true;
    lease_touch(lease);
}

static void dispatch(struct lease_client *client, const union proto_message *message) {
    /* All four begin alike up to the serial; the name's place differs. */
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
        log_info("%s: is being woken", lease->app);
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
                   offsetof(struct proto_lease, serial) == offsetof(struct proto_failed, serial),
               "dispatch() reads the serial before it looks at the opcode");

/* --- the connection ---------------------------------------------------------------------------- */

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

/* The engine is gone and has forgotten all leases of this connection. */
static void client_lost(struct lease_client *client) {
    struct lease *lease;

    source_close(&client->source);
    client->full = false;
    TAILQ_FOREACH (lease, &client->all, in_all) {
        lease->sent = lease->doubt = false;
        if (lease->asked && lease->n_users > 0) {
            if (!lease->dirty) {
                lease->dirty = true;
                TAILQ_INSERT_TAIL(&client->dirty, lease, in_dirty);
            }
        } else {
            timeout_cancel(&lease->release);
            lease_end(lease);
        }
    }
    client_retry(client);
}

static void client_receive(struct lease_client *client) {
    union proto_message message;
    int fd = client->source.fd, r;

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
    client_flush(client);
}

void lease_client_connect(struct lease_client *client) {
    int fd, r;

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
    client_flush(client);
}

/* Tells the engine what it has to know about one lease. Returns 0 or negative errno. */
static int lease_send(struct lease *lease) {
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

static void client_flush(struct lease_client *client) {
    struct lease *lease;
    int r;

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
        r = lease_send(lease);
        if (r == -EAGAIN) {
            client->full = true;
        } else if (r < 0) {
            client_lost(client);
        } else {
            lease_clean(lease);
        }
    }
}

/* --- life -------------------------------------------------------------------------------------- */

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
    TAILQ_INIT(&client->all);
    TAILQ_INIT(&client->dirty);
    timeout_queue_init(&client->retries, on_retry);
    timeout_queue_init(&client->deadlines, on_deadline);
    timeout_queue_init(&client->releases, on_release);
    loop_add_queue(loop, &client->retries);
    loop_add_queue(loop, &client->deadlines);
    loop_add_queue(loop, &client->releases);
    *ret_client = client;
    return 0;
}

void lease_client_free(struct lease_client *client) {
    struct lease *lease;

    if (client == NULL) {
        return;
    }
    source_close(&client->source);
    while ((lease = TAILQ_FIRST(&client->all)) != NULL) {
        TAILQ_REMOVE(&client->all, lease, in_all);
        free(lease);
    }
    strmap_done(&client->by_app);
    free(client);
}
