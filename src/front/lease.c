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
 * Whether a LEASE may wake the app follows from who waits for it at that moment: if none of them may,
 * it goes out with PROTO_LEASE_AWAKE. One who may and comes later waits for the answer, which the
 * engine has at once: ASLEEP ends those who may not, and for the others the lease is taken anew.
 *
 * A wake that the engine has begun (waking) is followed to its end, though nobody waits any more:
 * who was sent a page asks again, and is to be told what has become of it.
 *
 * The address outlives the lease, for the idle connections to it in the pool, until somebody says
 * that it is not the app's any more. A lease that nobody uses is remembered for LEASE_FORGET.
 */
#include <stdio.h>
#include <string.h>

#include "lease_internal.h"
#include "log.h"

/* --- one lease --------------------------------------------------------------------------------- */

void lease_clean(struct lease *lease) {
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
    lease_client_flush(lease->client);
}

/* Where nobody uses it and the engine has nothing to be told, it is only remembered. */
static void lease_rest(struct lease *lease) {
    struct lease_client *client = lease->client;

    if (lease->n_users > 0 || lease->asked || lease->sent || timeout_armed(&lease->forget)) {
        return;
    }
    timeout_arm(&client->forgets, &lease->forget, usec_add(client->loop->now, LEASE_FORGET));
    if (++client->n_idle > LEASES_IDLE_MAX) {
        loop_schedule(client->loop, &client->trim);
    }
}

void lease_end(struct lease *lease) {
    lease->asked = lease->sent = lease->ready = lease->doubt = lease->waking = false;
    lease->state = PROTO_STATE_UNKNOWN;
    timeout_cancel(&lease->release);
    lease_clean(lease);
    lease_rest(lease);
}

void lease_deny(struct lease *lease) {
    lease->known = false;
    if (lease->version > 0) {
        lease->client->handlers->stale(&lease->pool);
    }
}

static void waiter_add(struct lease *lease, struct lease_user *user) {
    struct lease_client *client = lease->client;

    user->waiting = true;
    TAILQ_INSERT_TAIL(&lease->waiters, user, link);
    lease->n_waiting_wakers += user->wake;
    if (lease->n_waiters++ == 0 && !timeout_armed(&lease->deadline)) {
        lease->extended = false;
        lease->began = client->loop->now;
        timeout_arm(&client->deadlines, &lease->deadline,
                    usec_add(lease->began, usec_add(lease->start_timeout, LEASE_PATIENCE)));
    }
}

/* Nobody waits, and no wake goes on that somebody has begun. */
static void deadline_settle(struct lease *lease) {
    if (lease->n_waiters == 0 && !lease->waking) {
        lease->began = 0;
        timeout_cancel(&lease->deadline);
    }
}

/* The last user has left. */
static void release_later(struct lease *lease) {
    if (lease->n_users == 0 && lease->asked && !lease->waking) {
        timeout_arm(&lease->client->releases, &lease->release,
                    usec_add(lease->client->loop->now, LEASE_RELEASE_DELAY));
    }
}

void lease_wake_ended(struct lease *lease) {
    lease->waking = false;
    lease->state = PROTO_STATE_UNKNOWN;
    deadline_settle(lease);
    release_later(lease);
}

static void waiter_remove(struct lease_user *user) {
    struct lease *lease = user->lease;

    if (!user->waiting) {
        return;
    }
    user->waiting = false;
    TAILQ_REMOVE(&lease->waiters, user, link);
    lease->n_waiting_wakers -= user->wake;
    lease->n_waiters--;
    deadline_settle(lease);
}

void waiters_ready(struct lease *lease) {
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

void waiters_failed(struct lease *lease, bool wakers, enum proto_failure failure,
                    const char *reason) {
    struct lease_user *user;

    for (size_t n = lease->n_waiters; n > 0; n--) {
        user = TAILQ_FIRST(&lease->waiters);
        if (user == NULL) {
            return;
        }
        if (user->wake && !wakers) {
            TAILQ_REMOVE(&lease->waiters, user, link);
            TAILQ_INSERT_TAIL(&lease->waiters, user, link);
        } else {
            waiter_remove(user);
            lease->client->handlers->failed(user, failure, reason);
        }
    }
}

void waiters_progress(struct lease *lease, enum proto_state state) {
    struct lease_user *user;

    if (lease->state == state) {
        return;
    }
    lease->state = state;
    TAILQ_FOREACH (user, &lease->waiters, link) {
        lease->client->handlers->progress(user);
    }
}

void lease_renew(struct lease *lease) {
    if (lease->n_waiters == 0 || lease->asked) {
        return;
    }
    if (++lease->renewals > LEASE_RENEWALS_MAX) {
        lease->renewals = 0;
        log_warning("%s: not woken: it is put to sleep again and again", lease->app);
        waiters_failed(lease, true, PROTO_FAILURE_STOPPED,
                       "it is being put to sleep again and again");
        return;
    }
    lease->asked = true;
    lease_touch(lease);
}

static int lease_get(struct lease_client *client, const char *app, struct lease **ret_lease) {
    struct lease *lease = strmap_get(&client->by_app, app, strlen(app));
    int r;

    if (lease != NULL) {
        *ret_lease = lease;
        return 0;
    }
    if (client->by_app.n - client->n_idle >= LEASES_MAX) {
        return -EUSERS;
    }
    lease = calloc(1, sizeof(*lease));
    if (lease == NULL) {
        return -ENOMEM;
    }
    lease->client = client;
    snprintf(lease->app, sizeof(lease->app), "%s", app);
    TAILQ_INIT(&lease->waiters);
    r = strmap_put(&client->by_app, lease->app, strlen(lease->app), lease);
    if (r < 0) {
        free(lease);
        return r;
    }
    TAILQ_INSERT_TAIL(&client->all, lease, in_all);
    *ret_lease = lease;
    return 0;
}

int lease_take(struct lease_client *client, struct lease_user *user, const struct config_app *app,
               const char *name, bool wake, struct proto_address *ret_address) {
    struct lease *lease;
    bool asked;
    int r = lease_get(client, name, &lease);

    if (r < 0) {
        return r;
    }
    lease->start_timeout = app->start_timeout;
    lease->stop_timeout = app->stop_timeout;
    lease->n_users++;
    lease->n_wakers += wake;
    timeout_cancel(&lease->release);
    if (timeout_armed(&lease->forget)) {
        timeout_cancel(&lease->forget);
        client->n_idle--;
    }
    *user = (struct lease_user){.lease = lease, .wake = wake};
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

bool lease_is_ready(const struct lease_client *client, const char *name) {
    const struct lease *lease = strmap_get(&client->by_app, name, strlen(name));

    return lease != NULL && lease->ready;
}

size_t lease_load(const struct lease_client *client, const char *name) {
    const struct lease *lease = strmap_get(&client->by_app, name, strlen(name));

    return lease != NULL ? lease->n_users : 0;
}

void lease_view(const struct lease_user *user, struct lease_view *ret_view) {
    const struct lease *lease = user->lease;

    *ret_view = (struct lease_view){.state = lease->state, .began = lease->began};
}

struct upstream_pool *lease_pool(const struct lease_user *user) {
    return &user->lease->pool;
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
    lease->n_wakers -= user->wake;
    if (--lease->n_users > 0) {
        return;
    }
    release_later(lease);
    lease_rest(lease);
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

/* --- time -------------------------------------------------------------------------------------- */

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
    lease_wake_ended(lease);
    waiters_failed(lease, true, connected ? PROTO_FAILURE_TIMEOUT : PROTO_FAILURE_DOCKER, reason);
}

/* Out of all lists; the pool is the handler's to empty. */
static void lease_free(struct lease *lease) {
    struct lease_client *client = lease->client;

    strmap_remove(&client->by_app, lease->app, strlen(lease->app));
    TAILQ_REMOVE(&client->all, lease, in_all);
    client->handlers->stale(&lease->pool);
    free(lease);
}

static void on_forget(struct timeout *timeout) {
    struct lease *lease = container_of(timeout, struct lease, forget);

    lease->client->n_idle--;
    lease_free(lease);
}

static void run_trim(struct task *task) {
    struct lease_client *client = container_of(task, struct lease_client, trim);
    struct timeout *oldest;

    while (client->n_idle > LEASES_IDLE_MAX &&
           (oldest = TAILQ_FIRST(&client->forgets.waiting)) != NULL) {
        timeout_cancel(oldest);
        on_forget(oldest);
    }
}

/* --- life -------------------------------------------------------------------------------------- */

void leases_init(struct lease_client *client) {
    TAILQ_INIT(&client->all);
    TAILQ_INIT(&client->dirty);
    timeout_queue_init(&client->deadlines, on_deadline);
    timeout_queue_init(&client->releases, on_release);
    timeout_queue_init(&client->forgets, on_forget);
    loop_add_queue(client->loop, &client->deadlines);
    loop_add_queue(client->loop, &client->releases);
    loop_add_queue(client->loop, &client->forgets);
    client->trim.run = run_trim;
}

void leases_done(struct lease_client *client) {
    struct lease *lease;

    loop_unschedule(client->loop, &client->trim);
    while ((lease = TAILQ_FIRST(&client->all)) != NULL) {
        lease_free(lease);
    }
    strmap_done(&client->by_app);
}
