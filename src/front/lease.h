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
#include "upstream.h"

/* How long a lease outlives its last user: in a row of short connections only the first asks. */
#define LEASE_RELEASE_DELAY (100 * USEC_PER_MSEC)
/* Beyond the app's start_timeout, for an engine that cannot be reached or does not answer. */
#define LEASE_PATIENCE (10 * USEC_PER_SEC)
/* Pauses between attempts to reach the engine: the first comes at once, then they double. */
#define LEASE_RETRY_FIRST (10 * USEC_PER_MSEC)
#define LEASE_RETRY_MAX   (1 * USEC_PER_SEC)

/* What is known of an app is forgotten so long after its last use. */
#define LEASE_FORGET (60 * USEC_PER_SEC)

enum {
    LEASE_RENEWALS_MAX = 16,   /* leases that end without READY before their waiters are told */
    LEASES_MAX = 65536 + 4096, /* apps and instances that one worker uses at a time */
    LEASES_IDLE_MAX = 4096,    /* those that nobody uses and that are remembered all the same */
};

struct lease;
struct lease_client;

/* One connection's share. All zero: has none. */
struct lease_user {
    TAILQ_ENTRY(lease_user) link; /* among the waiters */
    struct lease *lease;
    uint32_t version; /* of the address that it was given */
    bool waiting;
    bool wake; /* otherwise it only wants the app if that is awake */
};

/* Called from the loop, never from within the functions below. The user may do what it likes. */
struct lease_handlers {
    /* The app is ready at address. */
    void (*ready)(struct lease_user *user, const struct proto_address *address);
    /* It could not be woken, and why; the user waits no longer and still has to leave the lease. */
    void (*failed)(struct lease_user *user, enum proto_failure failure, const char *reason);
    /* The wake that the user waits for goes on: lease_view() has changed. No user may leave. */
    void (*progress)(struct lease_user *user);
    /*
     * How an app's wake ended, whoever waits for it: ready (PROTO_FAILURE_NONE), or why not. Called
     * before those who wait are told.
     */
    void (*ended)(struct loop *loop, const char *app, enum proto_failure failure,
                  const char *reason);
    /* The address is not the app's any more, or the lease is freed: pooled connections must go. */
    void (*stale)(struct upstream_pool *pool);
};

/* What is known of a wake. */
struct lease_view {
    enum proto_state state; /* PROTO_STATE_UNKNOWN: the engine has not said yet */
    usec_t began;           /* when this client first waited for it, monotonic; 0: nobody waits */
};

/* A log that was asked for (PROTO_LOGS). Its handlers are called from the loop. */
struct lease_log_reader {
    TAILQ_ENTRY(lease_log_reader) link;
    struct lease_client *client; /* NULL: it asks for nothing */
    char app[PROTO_NAME_MAX];
    unsigned lines;
    uint32_t serial;
    bool sent;
    void (*line)(struct lease_log_reader *reader, const char *text);
    /* error: 0 or a positive errno; the reader asks for nothing any more. */
    void (*end)(struct lease_log_reader *reader, int error);
};

/* path is borrowed. Connects at the first lease, or when told. Returns 0 or -ENOMEM. */
int lease_client_new(struct loop *loop, const char *path, const struct lease_handlers *handlers,
                     struct lease_client **ret_client);
/* Users must have left, and readers have been cancelled. Pools are dropped (stale). */
void lease_client_free(struct lease_client *client);

/* Connects ahead of the first lease, so that a sleeping engine starts meanwhile. */
void lease_client_connect(struct lease_client *client);

/*
 * Makes user one of app's, or of one of its instances: name is what the engine is told (NAME or
 * NAME@INSTANCE). Without wake an app that is not awake stays so, and the user is told
 * PROTO_FAILURE_ASLEEP. Returns 1 and the address when the app is known to be ready, 0 when user
 * waits for a handler to be called, -ENOMEM otherwise, -EUSERS beyond LEASES_MAX.
 */
int lease_take(struct lease_client *client, struct lease_user *user, const struct config_app *app,
               const char *name, bool wake, struct proto_address *ret_address);

/* Whether lease_take() would return 1. */
bool lease_is_ready(const struct lease_client *client, const char *name);

/* How many users an app has, busy and waiting; 0 for one that nobody uses. */
size_t lease_load(const struct lease_client *client, const char *name);

/* The user's wake, as far as it is known. */
void lease_view(const struct lease_user *user, struct lease_view *ret_view);

/* The idle connections to the app. */
struct upstream_pool *lease_pool(const struct lease_user *user);

/*
 * Asks for the last lines of an app's container, at most PROTO_LINES_MAX. reader's line and end are
 * set, all else zero. Returns 0 or -EBUSY when the engine cannot be reached.
 */
int lease_logs(struct lease_client *client, const char *name, unsigned lines,
               struct lease_log_reader *reader);
/* Nobody wants it any more; does nothing for a reader that asks for nothing. */
void lease_logs_cancel(struct lease_log_reader *reader);

/*
 * The address that the user was given does not take connections. Returns 1 and a newer one if there
 * is one already, otherwise 0: the engine is asked to look again, once for all who ask, and the
 * user waits.
 */
int lease_doubt(struct lease_user *user, struct proto_address *ret_address);

/* Leaves; does nothing for a user that has no lease. */
void lease_leave(struct lease_user *user);

/* The app's name as the engine knows it; valid while the user has the lease. */
const char *lease_app(const struct lease_user *user);

/* True at most once in LEASE_COMPLAINT_PAUSE for each app: an error of one connection is logged. */
bool lease_may_complain(struct lease_user *user);
#define LEASE_COMPLAINT_PAUSE (10 * USEC_PER_SEC)
