/*
 * conn_check.c - time while the relay runs: silence, and clients that stall (conn.c).
 *
 * Silence: a connection over which not a byte has moved for the app's [idle] silence does not count
 * any more: it gives its lease back and stays open. The next byte takes the lease again; should the
 * app have been put to sleep meanwhile, its end of the connection is closed, and so is ours.
 *
 * Stall: HTTP bodies alone. A client that owes bytes of a body and sends none, or takes none of an
 * answer, for stall_timeout is cut off. Tunnels may stand still for as long as they like.
 *
 * Nothing is armed or cancelled for single bytes: only times are noted, and looked at when the
 * earliest moment has come at which anything could be due.
 */
#include <string.h>

#include "conn_internal.h"

/* When there may be something to be done; USEC_INFINITY: never. */
static usec_t next_check(const struct conn *conn) {
    usec_t at = USEC_INFINITY, stall;

    if (conn->silence > 0 && !conn->silent) {
        at = usec_add(conn->moved, conn->silence);
    }
    if (!conn->tunnel) {
        stall = usec_add(conn->moved_client, conn->worker->config->front.stall_timeout);
        at = stall < at ? stall : at;
    }
    return at;
}

static void arm(struct conn *conn) {
    usec_t at = next_check(conn);

    if (at != USEC_INFINITY && (conn->check.heap == NULL || conn->check.at > at)) {
        timeout_heap_arm(&conn->worker->conns.checks, &conn->check, at);
    }
}

void conn_check_begin(struct conn *conn) {
    conn->moved = conn->moved_client = conn->worker->loop.now;
    arm(conn);
}

/* It counts again, if the app is awake; the end of one that has been put to sleep wakes nobody. */
static void speak_up(struct conn *conn) {
    const struct config_app *app = conn_app(conn);
    auto_free char *name = take_ptr(conn->name);
    struct proto_address address;

    conn->silent = false;
    if (app != NULL) {
        (void)!lease_take(conn->worker->leases, &conn->lease, app, name, false, &address);
    }
    arm(conn);
}

void conn_check_moved(struct conn *conn, bool by_client) {
    conn->moved = conn->worker->loop.now;
    if (by_client) {
        conn->moved_client = conn->moved;
    }
    if (conn->silent) {
        speak_up(conn);
    }
}

static void fall_silent(struct conn *conn) {
    if (conn->lease.lease == NULL) {
        return;
    }
    conn->name = strdup(lease_app(&conn->lease));
    if (conn->name != NULL) {
        conn->silent = true;
        lease_leave(&conn->lease);
    }
}

/* Whether it is the client for whom all else waits. */
static bool is_stalled(const struct conn *conn) {
    bool owes = conn->up.left > 0 && !conn->up.ended && !conn->up.broken && conn->up.rest == NULL;
    bool takes_none = conn->down.rest != NULL;

    return !conn->tunnel && (owes || takes_none);
}

void conn_check_due(struct conn *conn) {
    const struct worker *worker = conn->worker;
    usec_t now = worker->loop.now;

    if (conn->state != CONN_RELAY) {
        return;
    }
    if (now >= usec_add(conn->moved_client, worker->config->front.stall_timeout)) {
        if (is_stalled(conn)) {
            if (conn->answered) {
                conn_abort(conn);
            } else {
                conn_answer(conn, 408, "the body did not arrive in time");
            }
            return;
        }
        conn->moved_client = now; /* it is the backend's turn; asked again later */
    }
    if (conn->silence > 0 && !conn->silent && now >= usec_add(conn->moved, conn->silence)) {
        fall_silent(conn);
    }
    arm(conn);
}
