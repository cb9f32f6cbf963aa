/*
 * lease.h - the front's side of the engine protocol (proto.h): keeps apps awake, learns addresses.
 *
 * Each busy connection is a user of its app's lease. The first user takes the lease from the
 * engine, the last one gives it back; in between the address is known and nothing is asked. Nothing
 * in here blocks, and nothing waits longer than the app's start_timeout and the bounds named here.
 */
#pragma once

#include "config.h"
#include "loop.h"
#include "proto.h"

/* How long a lease outlives its last user: in a row of short connections only the first asks. */
#define LEASE_RELEASE_DELAY (100 * USEC_PER_MSEC)
/* Beyond the app's start_timeout, for an engine that cannot be reached or does not answer. */
#define LEASE_PATIENCE (10 * USEC_PER_SEC)
/* Pauses between attempts to reach the engine: the first comes at once, then they double. */
#define LEASE_RETRY_FIRST (10 * USEC_PER_MSEC)
#define LEASE_RETRY_MAX   (1 * USEC_PER_SEC)

enum { LEASE_RENEWALS_MAX = 16 }; /* leases that end without READY before their waiters are told */

struct lease;
struct lease_client;

/* One connection's share. All zero: has none. */
struct lease_user {
    TAILQ_ENTRY(lease_user) link; /* among the waiters */
    struct lease *lease;
    uint32_t version; /* of the address that it was given */
    bool waiting;
};

/* Called from the loop, never from within the functions below. The user may do what it likes. */
struct lease_handlers {
    /* The app is ready at address. */
    void (*ready)(struct lease_user *user, const struct proto_address *address);
    /* It could not be woken, and why; the user waits no longer and still has to leave the lease. */
    void (*failed)(struct lease_user *user, enum proto_failure failure, const char *reason);
};

/* path is borrowed. Connects at the first lease, or when told. Returns 0 or -ENOMEM. */
int lease_client_new(struct loop *loop, const char *path, const struct lease_handlers *handlers,
                     struct lease_client **ret_client);
/* Users must have left. */
void lease_client_free(struct lease_client *client);

/* Connects ahead of the first lease, so that a sleeping engine starts meanwhile. */
void lease_client_connect(struct lease_client *client);

/*
 * Makes user one of app's. Returns 1 and the address when the app is known to be ready, 0 when user
 * waits for a handler to be called, -ENOMEM otherwise.
 */
int lease_take(struct lease_client *client, struct lease_user *user, const struct config_app *app,
               struct proto_address *ret_address);

/*
 * The address that the user was given does not take connections. Returns 1 and a newer one if there
 * is one already, otherwise 0: the engine is asked to look again, once for all who ask, and the
 * user waits.
 */
int lease_doubt(struct lease_user *user, struct proto_address *ret_address);

/* Leaves; does nothing for a user that has no lease. */
void lease_leave(struct lease_user *user);

/* The app's name; valid as long as the client. */
const char *lease_app(const struct lease_user *user);

/* True at most once in LEASE_COMPLAINT_PAUSE for each app: an error of one connection is logged. */
bool lease_may_complain(struct lease_user *user);
#define LEASE_COMPLAINT_PAUSE (10 * USEC_PER_SEC)
