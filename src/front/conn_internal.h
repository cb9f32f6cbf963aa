/* conn_internal.h - a connection's parts, for the files that share them. */
#pragma once

#include "answer.h"
#include "conn.h"
#include "http_chunk.h"
#include "own.h"
#include "policy.h"
#include "proxy_header.h"
#include "worker.h"

/* A packet to a backend that drops them is sent again after 1, 3 and 7 s: the third still counts.
 */
#define BACKEND_CONNECT_TIMEOUT (8 * USEC_PER_SEC)
/* Before the engine is asked a second time about an address that refuses connections. */
#define BACKEND_RETRY_PAUSE (50 * USEC_PER_MSEC)
/* How long and for how many bytes a client is listened to that was sent its answer. */
#define LINGER_TIMEOUT (5 * USEC_PER_SEC)
#define LINGER_BYTES   (16U << 20)
/* A stream of events says something that often, so that nobody in between takes it for dead. */
#define EVENTS_TICK (15 * USEC_PER_SEC)
/* So long after a failed wake a page says why, and wakes nobody: a refresh is no wish. */
#define FAILURE_MEMORY ((usec_t)ANSWER_RETRY_AFTER * USEC_PER_SEC)

enum {
    BACKEND_TRIES = 5,            /* attempts to reach a backend for one request */
    BACKEND_HEAD_MAX = 48 * 1024, /* bytes of an answer's head */
    BACKEND_INTERIM_MAX = 32,     /* interim answers to one request */
    LINGER_READS = 16,            /* reads of one lingering connection in one turn */
    /* A client that has sent its end may be gone for good: the kernel asks. Seconds and a count. */
    DEPARTURE_IDLE = 30,
    DEPARTURE_INTERVAL = 10,
    DEPARTURE_PROBES = 6,
};

enum conn_state {
    CONN_HEAD,    /* looking at what arrives: a PROXY header, a ClientHello, a request's head */
    CONN_WAIT,    /* for the lease */
    CONN_CONNECT, /* to the backend */
    CONN_PAUSE,   /* before the lease is doubted again */
    CONN_RELAY,   /* both flows run */
    CONN_EVENTS,  /* a stream of events about a wake is being sent */
    CONN_LOGS,    /* for the lines of a log */
    CONN_ANSWER,  /* an answer of our own is being sent */
    CONN_LINGER,  /* it was sent; what the client still sends is thrown away */
    CONN_DEAD,    /* closed; released at the end of the turn */
};

enum conn_kind { CONN_HTTP, CONN_TCP };

/* What a request waits for, and what is done when that takes long (config_wait, resolved). */
enum conn_patience {
    PATIENCE_HOLD,     /* until ready or failed */
    PATIENCE_PAGE,     /* a page as soon as it is known that the app must be woken */
    PATIENCE_AUTO,     /* a page after page_after */
    PATIENCE_REDIRECT, /* as HOLD, and sent elsewhere when ready */
    PATIENCE_EVENTS,   /* a stream of events, begun at once */
};

/* Lines of a log, as they come in. */
struct conn_log {
    struct lease_log_reader reader;
    struct conn *conn;
    size_t size;
    char text[OWN_LINES * (PROTO_LINE_MAX + 1)];
};

/* Bytes of an answer's head that is not complete yet. */
struct conn_held {
    uint32_t size;
    char data[];
};

struct conn {
    struct worker *worker;
    struct side client;
    struct upstream *upstream; /* the backend's side; NULL: none */
    struct flow up, down;      /* client to backend, backend to client */
    struct lease_user lease;   /* from the route on, until no backend is needed any more */
    struct timeout timeout;    /* of the state */
    struct timeout_node check; /* WAIT: page_after. RELAY: silence and stalls, looked at lazily */
    struct task task;          /* the rest of a turn's work; when dead, release */
    struct proto_address address; /* the backend's, from CONN_CONNECT on */
    struct proto_address
        client_address;           /* whom it speaks for: by a PROXY header, else the other end */
    struct proto_address speaker; /* whom the request comes from: by a trusted proxy's word, else
                                     client_address */
    struct proto_address local;   /* where a PROXY header says that the client connected to */
    TAILQ_ENTRY(conn) link;
    uint64_t serial; /* never used twice in this worker */
    char *name;      /* RELAY and silent: of the app whose lease was left */
    struct conn_log *log;
    struct conn_held *held;
    usec_t silence;      /* of the app; 0: counts for ever */
    usec_t moved;        /* when bytes last moved, in either direction */
    usec_t moved_client; /* when the client last gave or took some */
    uint32_t seen;       /* CONN_HEAD: bytes looked at already, and not enough. Later: peeked at */
    uint32_t head_size;  /* of the request, while it lies unread in the client's socket */
    uint32_t lingered;   /* CONN_LINGER: bytes thrown away */
    uint16_t port;       /* the local one; 0: a Unix socket */
    struct http_chunk up_chunk, down_chunk; /* where in chunked bodies the flows are */

    uint8_t state, kind;   /* enum conn_state, enum conn_kind */
    uint8_t tries;         /* connects to a backend so far */
    uint8_t interims;      /* interim answers to this request */
    uint8_t patience;      /* enum conn_patience */
    uint8_t rule;          /* enum policy_rule that forbids this client to wake the app */
    uint8_t proxy_out;     /* enum config_proxy */
    uint8_t segments;      /* of the path that the backend does not see */
    uint8_t members_tried; /* of a group */
    uint8_t minor;         /* the client's version */
    bool passed : 1;       /* the socket was passed to us, and may be open elsewhere */
    bool counted : 1;      /* among its address's connections */
    bool waiting : 1;      /* among its app's waiting clients */
    bool trusted : 1;      /* the peer is a trusted proxy */
    bool needs_proxy : 1;  /* CONN_HEAD: a PROXY header must come first */
    bool served : 1;       /* at least one request was answered */
    bool between : 1;      /* CONN_HEAD: not a byte of the next request has come */
    bool seen_all : 1;     /* there was no more in the socket than was seen */
    bool departing : 1;    /* DEPARTURE_* were set */
    bool rated : 1;        /* the wake was taken off the client's rate, or needs not be */
    bool remembered : 1;   /* the app has just failed to wake: it is not woken again for this */
    bool by_cookie : 1;    /* a cookie led to the app */
    bool by_instance : 1;  /* the app is an instance, which need not exist */
    bool woke : 1;         /* it is the first to ask for the app; says so when it is woken */
    bool waited : 1;       /* the app was not ready at once */

    /* of the request */
    bool asked : 1;       /* a whole head was looked at */
    bool to_head : 1;     /* HEAD: its answer has no body */
    bool persistent : 1;  /* the client wants to go on with this connection */
    bool bodyless : 1;    /* the request has no body */
    bool expects : 1;     /* ... and the client waits to be told to send its body */
    bool safe : 1;        /* it may be sent twice */
    bool head_kept : 1;   /* the head is unread still and can be sent again */
    bool replayed : 1;    /* it was sent again */
    bool upgrade : 1;     /* the client asks for another protocol */
    bool answered : 1;    /* RELAY: the answer's head has been passed on */
    bool until_close : 1; /* its body ends with the backend's connection */
    bool reusable : 1;    /* the backend's connection can serve another request */
    bool keep : 1;        /* the client was told that the connection stays */
    bool tunnel : 1;      /* TCP, or HTTP after 101: both flows run raw */
    bool up_shut : 1;     /* the backend was sent the client's end */
    bool down_shut : 1;   /* the client was sent the backend's end */
    bool silent : 1;      /* its lease was left, as no byte moved for long */
};

static inline struct conn *conn_of_up(struct flow *up) {
    return container_of(up, struct conn, up);
}

static inline struct conn *conn_of_down(struct flow *down) {
    return container_of(down, struct conn, down);
}

/* --- conn.c ------------------------------------------------------------------------------------ */

/* Does what the state asks for, as far as it can be done now. */
void conn_run(struct conn *conn);
/* Counts it among its client's connections; false: it has too many. */
bool conn_count(struct conn *conn);
/* The client's address for people; "unix" for a Unix socket. */
const char *conn_client_text(const struct proto_address *address,
                             char out[static PROTO_ADDRESS_TEXT_MAX]);

/* --- conn_end.c -------------------------------------------------------------------------------- */

/* Ends it now, whatever its state. */
void conn_close(struct conn *conn);
/* The same, and lets both sides know that it is no orderly end (a reset). */
void conn_abort(struct conn *conn);
/*
 * Gives up with an answer of our own; what says which, but for the app and what depends on the
 * connection. TCP clients are just closed.
 */
void conn_answer_with(struct conn *conn, const struct answer *what);
/* The same with a status and a reason. */
void conn_answer(struct conn *conn, unsigned status, const char *reason);
/* Sends what was written as a whole answer, and goes on or ends as conn->keep says. */
void conn_send_answer(struct conn *conn, const char *head, size_t head_size, const char *body,
                      size_t body_size);
/* Sets conn->keep: whether an answer of our own leaves the connection open. Returns it. */
bool conn_may_keep(struct conn *conn);
/* Sends what is left of our own words. */
enum flow_result conn_run_own(struct conn *conn);
/* CONN_ANSWER, CONN_LINGER */
void conn_run_answer(struct conn *conn);
void conn_run_linger(struct conn *conn);
/* Lets go of the backend and of what was sent or is kept for it. */
void conn_let_backend_go(struct conn *conn);
/* The request was answered: on to the next one, or to the end. */
void conn_request_done(struct conn *conn);
/* No more of conn_answer() than closing is possible, as the system is out of something. */
void conn_out_of_resources(struct conn *conn, int error);

/* --- conn_look.c ------------------------------------------------------------------------------- */

/* CONN_HEAD: looks at what has arrived, and goes on with what is complete. */
void conn_look(struct conn *conn);
/* CONN_HEAD: it did not become complete in time. */
void conn_look_late(struct conn *conn);
/* Begins to wait for a request. first: a connection has just been accepted. */
void conn_look_begin(struct conn *conn, bool first);
/* Throws the head away, which was looked at before. Returns whether it was there. */
bool conn_take_head(struct conn *conn);
/* Makes sure that the worker's buffer and head hold this connection's. Returns whether they do. */
bool conn_parsed(struct conn *conn);

/* --- conn_route.c ------------------------------------------------------------------------------ */

/* The worker's buffer and head hold a request: finds out whose it is and takes the lease. */
void conn_route(struct conn *conn);
/* A ClientHello with this server name. */
void conn_route_tls(struct conn *conn, const char *name);
/* A TCP port's app. */
void conn_route_tcp(struct conn *conn, const struct config_app *app);
/* The lease was not to be had: tries another member of the group. Returns whether there is one. */
bool conn_route_again(struct conn *conn);
/* The app of the table in force whose lease this is; NULL: it has gone. */
const struct config_app *conn_app(const struct conn *conn);
/* Takes the lease, and goes on from there; wake: or else only if the app is awake. */
void conn_lease(struct conn *conn, const struct config_app *app, const char *name, bool wake);

/* --- conn_wait.c ------------------------------------------------------------------------------- */

/* It has to wait for the lease. */
void conn_wait_begin(struct conn *conn);
/* The app is ready at address, be it after a wait or at once. */
void conn_wait_ready(struct conn *conn, const struct proto_address *address);
/* It waits no longer. */
void conn_wait_end(struct conn *conn);
/* WAIT: page_after is over. */
void conn_wait_long(struct conn *conn);
/* EVENTS: the client has to hear something. */
void conn_events_tick(struct conn *conn);
/* /_dockwake/logs */
void conn_logs_begin(struct conn *conn, const char *name);
void conn_logs_end(struct conn *conn);

/* --- conn_backend.c ---------------------------------------------------------------------------- */

/* The app is ready at address: takes an idle connection to it, or makes one. */
void conn_connect(struct conn *conn, const struct proto_address *address);
/* The backend did not serve: asks the engine to look again, within BACKEND_TRIES. */
void conn_retry(struct conn *conn, const char *reason);
/* CONN_CONNECT: finds out how it is doing. */
void conn_run_connect(struct conn *conn);
/* The same, when it has failed. error: a positive errno. */
void conn_connect_failed(struct conn *conn, int error);
/* Writes the PROXY header of a new connection to the backend. Returns its size. */
size_t conn_proxy_header(struct conn *conn, char out[static PROXY_HEADER_WRITE_MAX]);
/* CONN_PAUSE is over: asks the engine to look again. */
void conn_doubt(struct conn *conn);

/* --- conn_http.c ------------------------------------------------------------------------------- */

/* Hands the request over to the backend. Returns whether the relay may run. */
bool http_hand_over(struct conn *conn);
/* CONN_RELAY, and no tunnel (yet). */
void http_run(struct conn *conn);

/* --- conn_check.c ------------------------------------------------------------------------------ */

/* CONN_RELAY begins: silence and stalls are watched from now on. */
void conn_check_begin(struct conn *conn);
/* Bytes may have moved. by_client: the client's side said so. */
void conn_check_moved(struct conn *conn, bool by_client);
/* The check is due. */
void conn_check_due(struct conn *conn);
