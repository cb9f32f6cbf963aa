/* conn_internal.h - a connection's parts, for the files that share them. */
#pragma once

#include "conn.h"
#include "http_chunk.h"
#include "http_status.h"

/* A packet to a backend that drops them is sent again after 1, 3 and 7 s: the third still counts.
 */
#define BACKEND_CONNECT_TIMEOUT (8 * USEC_PER_SEC)
/* Before the engine is asked a second time about an address that refuses connections. */
#define BACKEND_RETRY_PAUSE (50 * USEC_PER_MSEC)
/* How long and for how many bytes a client is listened to that was sent its answer. */
#define LINGER_TIMEOUT (5 * USEC_PER_SEC)
#define LINGER_BYTES   (16U << 20)

enum {
    BACKEND_TRIES = 5, /* attempts to reach a backend for one connection */
    LINGER_READS = 16, /* reads of one lingering connection in one turn */
    /* A client that has sent its end may be gone for good: the kernel asks. Seconds and a count. */
    DEPARTURE_IDLE = 30,
    DEPARTURE_INTERVAL = 10,
    DEPARTURE_PROBES = 6,
};

enum conn_state {
    CONN_HEAD,    /* looking at the request's head as it arrives */
    CONN_WAIT,    /* for the lease */
    CONN_CONNECT, /* to the backend */
    CONN_PAUSE,   /* before the lease is doubted again */
    CONN_RELAY,   /* both flows run */
    CONN_ANSWER,  /* an answer of our own is being sent */
    CONN_LINGER,  /* it was sent; what the client still sends is thrown away */
    CONN_DEAD,    /* closed; released at the end of the turn */
};

enum conn_kind { CONN_HTTP, CONN_TCP };

struct conn {
    struct front *front;
    struct side client, backend;
    struct flow up, down;         /* client to backend, backend to client */
    struct lease_user lease;      /* from the route on, until no backend is needed any more */
    struct timeout timeout;       /* of the state */
    struct task task;             /* the rest of a turn's work; when dead, release */
    struct proto_address address; /* the backend's, from CONN_CONNECT on */
    TAILQ_ENTRY(conn) link;
    uint32_t lingered; /* CONN_LINGER: bytes thrown away */

    /* HTTP */
    uint32_t head_size;        /* of the request, which lies unread in the client's socket */
    struct http_chunk chunk;   /* where in a chunked body the upward flow is */
    struct http_status status; /* upgrade: what the backend has answered so far */

    uint8_t state, kind;      /* enum conn_state, enum conn_kind */
    uint8_t tries;            /* connects to a backend so far */
    bool passed : 1;          /* the socket was passed to us, and may be open elsewhere */
    bool departing : 1;       /* DEPARTURE_* were set */
    bool bodyless_answer : 1; /* HEAD */
    bool head_kept : 1;       /* CONN_RELAY: the head is unread still and can be sent again */
    bool replayed : 1;        /* it was sent again */
    bool upgrade : 1;         /* the client asks for another protocol, not yet answered */
    bool tunnel : 1;          /* TCP, or HTTP after 101: both flows run raw */
    bool up_shut : 1;         /* the backend was sent the client's end */
    bool down_shut : 1;       /* the client was sent the backend's end */
    bool overrun : 1;         /* bytes behind the request's end were read and dropped */
};

static inline struct conn *conn_of_up(struct flow *up) {
    return container_of(up, struct conn, up);
}

static inline struct conn *conn_of_down(struct flow *down) {
    return container_of(down, struct conn, down);
}

/* --- conn.c ------------------------------------------------------------------------------------ */

/* Ends it now, whatever its state. */
void conn_close(struct conn *conn);
/* The same, and lets both sides know that it is no orderly end (a reset). */
void conn_abort(struct conn *conn);
/* Gives up with an answer of our own. TCP clients are just closed. The backend is let go. */
void conn_answer(struct conn *conn, unsigned status, const char *reason);
/* Lets the backend go and the client, once it has read what it was sent. */
void conn_finish(struct conn *conn);
/* Does what the state asks for, as far as it can be done now. */
void conn_run(struct conn *conn);

/* --- conn_backend.c ---------------------------------------------------------------------------- */

/* Takes the lease and goes on from there. */
void conn_lease(struct conn *conn, const struct config_app *app);
/* The backend did not serve: asks the engine to look again, within BACKEND_TRIES. */
void conn_retry(struct conn *conn, const char *reason);
/* CONN_CONNECT: finds out how it is doing. */
void conn_run_connect(struct conn *conn);
/* The same, when it has failed. error: a positive errno. */
void conn_connect_failed(struct conn *conn, int error);
/* CONN_PAUSE is over: asks the engine to look again. */
void conn_doubt(struct conn *conn);

/* --- conn_http.c ------------------------------------------------------------------------------- */

/* CONN_HEAD: looks at what has arrived, and routes a complete head. */
void http_look(struct conn *conn);
/* CONN_HEAD: the head did not arrive in time. */
void http_head_late(struct conn *conn);
/* The backend is connected: sends it the head and sets the flows up. Returns whether it goes on. */
bool http_hand_over(struct conn *conn);
/* Takes the head out of the client's socket, where it was kept until the answer began. */
bool http_take_head(struct conn *conn);
/* CONN_RELAY, no tunnel: decides what the flows' results mean. */
void http_judge(struct conn *conn, enum flow_result up, enum flow_result down);
