/*
 * proto.h - what the front, the engine and the command line say to each other.
 *
 * Transport: AF_UNIX SOCK_SEQPACKET (unix(7)), one message a packet. Two sockets: the front's
 * (lease, release, logs) and the administrator's (list, status, wake, sleep). Every message is one of the
 * fixed-size structs below, in the byte order of the machine; both ends come from one package, and
 * PROTO_VERSION says so. A packet whose version, opcode or exact size is not in the table, whose
 * strings do not end, that carries a descriptor, or that is not allowed on that socket in that
 * direction ends the connection.
 *
 * A request names an app of the configuration and nothing else: no container, path or address.
 *
 * Leases. A front sends LEASE when an app gets its first busy connection and RELEASE when it has
 * none left; in between the engine keeps the app awake. Each LEASE carries a serial of the front's
 * choice, which every answer repeats, so that an answer to a lease given back meanwhile is
 * recognised:
 *
 *     front                         engine
 *     LEASE app serial 7      ->
 *                             <-    STARTING app serial 7       (when it was not ready)
 *                             <-    PROGRESS app serial 7       (its state; any number of them)
 *                             <-    READY app serial 7 address  or  FAILED app serial 7 reason
 *                             <-    GONE app serial 7           (ready no longer)
 *     RELEASE app serial 7    ->
 *
 * FAILED and GONE end the lease. LEASE with PROTO_LEASE_DOUBT renews one that the front still
 * holds: the address refused a connection, so the engine looks again before it answers READY. The
 * end of the connection ends all its leases.
 *
 * LEASE with PROTO_LEASE_AWAKE takes the lease only if the app is awake, by what the engine knows,
 * and is otherwise answered FAILED with PROTO_FAILURE_ASLEEP. With both flags an app that turns out
 * to have ended is not started again: FAILED with PROTO_FAILURE_ASLEEP too.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_FRONT_SOCKET "/run/dockwake/engine.sock"
#define PROTO_ADMIN_SOCKET "/run/dockwake/admin.sock"

enum {
    PROTO_VERSION = 1,
    PROTO_NAME_MAX = 128,  /* an app's name, NAME or NAME@INSTANCE, with its final NUL */
    PROTO_TEXT_MAX = 256,  /* a reason with its final NUL */
    PROTO_LINE_MAX = 512,  /* a line of a container's log with its final NUL; the rest is cut off */
    PROTO_LINES_MAX = 100, /* lines that LOGS may ask for */
};

enum proto_opcode {
    PROTO_LEASE = 1,
    PROTO_RELEASE,
    PROTO_STARTING,
    PROTO_READY,
    PROTO_FAILED,
    PROTO_GONE,
    PROTO_LIST,
    PROTO_STATUS,
    PROTO_WAKE,
    PROTO_SLEEP,
    PROTO_APP,
    PROTO_END,
    PROTO_PROGRESS,
    PROTO_LOGS,
    PROTO_LOG,
    PROTO_LOGS_END,
    PROTO_OPCODE_MAX,
};

/* Where a message may be sent: one bit for each socket and direction. */
enum proto_channel {
    PROTO_FRONT_TO_ENGINE = 1 << 0,
    PROTO_ENGINE_TO_FRONT = 1 << 1,
    PROTO_ADMIN_TO_ENGINE = 1 << 2,
    PROTO_ENGINE_TO_ADMIN = 1 << 3,
};

enum proto_state {
    PROTO_STATE_UNKNOWN, /* Docker has not answered yet, or cannot be reached */
    PROTO_STATE_MISSING, /* there is no such container */
    PROTO_STATE_ASLEEP,
    PROTO_STATE_PAUSED,   /* asleep, with its memory */
    PROTO_STATE_STARTING, /* Docker was asked to start it */
    PROTO_STATE_PROBING,  /* it runs and is not ready yet */
    PROTO_STATE_READY,
    PROTO_STATE_STOPPING,
    PROTO_STATE_FAILED, /* the last start did not end well; asleep otherwise */
    PROTO_STATE_MAX,
};

/* Why a start failed; the front turns it into a status. */
enum proto_failure {
    PROTO_FAILURE_NONE,
    PROTO_FAILURE_TIMEOUT,     /* not ready within start_timeout */
    PROTO_FAILURE_UNKNOWN_APP, /* the engine's table has no such app */
    PROTO_FAILURE_BROKEN_APP,  /* its configuration has errors */
    PROTO_FAILURE_MISSING,     /* no such container */
    PROTO_FAILURE_DOCKER,      /* Docker refused or cannot be reached */
    PROTO_FAILURE_EXITED,      /* the container ended while it was starting */
    PROTO_FAILURE_NO_ADDRESS,  /* it runs, and has no address or port to connect to */
    PROTO_FAILURE_STOPPED,     /* somebody put it to sleep while it was starting */
    PROTO_FAILURE_ASLEEP,      /* PROTO_LEASE_AWAKE: it is not awake, and was not woken */
    PROTO_FAILURE_FOREIGN,     /* the container of an instance lacks the label dockwake.app=NAME */
    PROTO_FAILURE_MAX,
};

/* An IPv4 or IPv6 address with a port, in network byte order. */
struct proto_address {
    uint16_t family; /* AF_INET, AF_INET6; AF_UNSPEC: none */
    uint16_t port;
    uint8_t ip[16]; /* the first 4 bytes for AF_INET */
};

struct proto_header {
    uint16_t version;
    uint16_t opcode;
    uint32_t size; /* of the whole packet, this header included */
};

enum {
    PROTO_LEASE_DOUBT = 1 << 0,
    PROTO_LEASE_AWAKE = 1 << 1, /* only if it is awake */
};

/* LEASE, RELEASE, STARTING, GONE */
struct proto_lease {
    struct proto_header header;
    uint32_t serial;
    uint32_t flags; /* PROTO_LEASE_*; 0 otherwise */
    char app[PROTO_NAME_MAX];
};

/* READY */
struct proto_ready {
    struct proto_header header;
    uint32_t serial;
    struct proto_address address;
    char app[PROTO_NAME_MAX];
};

/* FAILED */
struct proto_failed {
    struct proto_header header;
    uint32_t serial;
    uint32_t failure; /* enum proto_failure */
    char app[PROTO_NAME_MAX];
    char text[PROTO_TEXT_MAX];
};

/* PROGRESS: to those who hold a lease on an app that is being woken, at each change of its state. */
struct proto_progress {
    struct proto_header header;
    uint32_t serial; /* of the lease */
    uint32_t state;  /* enum proto_state */
    char app[PROTO_NAME_MAX];
};

/*
 * LOGS: the last lines of what the app's container wrote, since its last start: front to engine,
 * answered with a LOG for each and LOGS_END. Refused (result EPERM) unless the app's show_logs
 * allows it. One at a time for each connection and app.
 */
struct proto_logs {
    struct proto_header header;
    uint32_t serial; /* the front's choice; repeated in the answers */
    uint32_t lines;  /* at most PROTO_LINES_MAX */
    char app[PROTO_NAME_MAX];
};

struct proto_log {
    struct proto_header header;
    uint32_t serial;
    uint32_t is_error; /* 1: it went to the standard error stream */
    char app[PROTO_NAME_MAX];
    char text[PROTO_LINE_MAX]; /* without its line's end; bytes as they came, but no NUL */
};

struct proto_logs_end {
    struct proto_header header;
    uint32_t serial;
    uint32_t result; /* 0, or a positive errno: EPERM, ENOENT (no container), EBUSY, EIO (Docker) */
    char app[PROTO_NAME_MAX];
};

/* LIST: answered with one APP for each app, in order of name, and END. */
struct proto_list {
    struct proto_header header;
};

enum { PROTO_WAKE_WAIT = 1 << 0 };

/*
 * STATUS, SLEEP: answered with one APP and END. WAKE: the same at once; with PROTO_WAKE_WAIT an APP
 * for each change of state, and END when it is ready or has failed. One request at a time.
 *
 * The name of a group, or of a template, stands for all its instances that there are, each with APPs
 * of its own; a template has none to be woken (END with EINVAL).
 */
struct proto_request {
    struct proto_header header;
    uint32_t flags; /* PROTO_WAKE_*; 0 otherwise */
    char app[PROTO_NAME_MAX];
};

/* APP */
struct proto_app {
    struct proto_header header;
    uint32_t state;               /* enum proto_state */
    uint32_t failure;             /* enum proto_failure of the last start */
    uint32_t leases;              /* fronts that have it busy */
    struct proto_address address; /* when ready */
    uint64_t since_usec;          /* realtime: in this state since; 0: unknown */
    uint64_t sleep_usec; /* microseconds until it is put to sleep; UINT64_MAX: no clock runs */
    uint64_t wake_usec;  /* how long the last wake took until ready; 0: none seen */
    char app[PROTO_NAME_MAX];
    char container[PROTO_TEXT_MAX];
    char text[PROTO_TEXT_MAX]; /* the reason of the last failure; "" */
};

/* END: result is 0 or a positive errno, text says why. */
struct proto_end {
    struct proto_header header;
    uint32_t result;
    char text[PROTO_TEXT_MAX];
};

union proto_message {
    struct proto_header header;
    struct proto_lease lease;
    struct proto_ready ready;
    struct proto_failed failed;
    struct proto_list list;
    struct proto_request request;
    struct proto_app app;
    struct proto_end end;
    struct proto_progress progress;
    struct proto_logs logs;
    struct proto_log log;
    struct proto_logs_end logs_end;
};

/*
 * Checks a packet of size bytes: version, opcode, exact size, the channel, and that each string
 * ends. Pure. Returns 0, -EBADMSG for a malformed one, -EPERM for one not allowed on the channel.
 */
int proto_check(const union proto_message *message, size_t size, enum proto_channel channel);

/*
 * Receives one packet without blocking. Returns its size, 0 at the end of the connection, -EAGAIN
 * when there is none, -EBADMSG or -EPERM as above (also for an oversized packet or one that came
 * with descriptors, which are closed), or recvmsg(2)'s errno.
 */
int proto_receive(int fd, enum proto_channel channel, union proto_message *ret_message);

/*
 * Fills in the header and sends without blocking and without SIGPIPE. Returns 0, -EAGAIN when the
 * peer's queue is full (ENOBUFS too), or sendmsg(2)'s errno. The opcode decides the size.
 */
int proto_send(int fd, enum proto_opcode opcode, union proto_message *message);

/*
 * A connected, close-on-exec socket to path, or negative errno. The socket is non-blocking when
 * asked for; -EAGAIN means that the listener's queue is full and the connection should be tried
 * again.
 */
int proto_connect(const char *path, bool nonblock);

/* The names are those of the command line's output. Never NULL. */
const char *proto_state_name(enum proto_state state);
const char *proto_failure_name(enum proto_failure failure);

/* To and from the kernel's form. ret_len is 0 for AF_UNSPEC. */
struct sockaddr_storage;
void proto_address_to_sockaddr(const struct proto_address *address, struct sockaddr_storage *ret_sa,
                               socklen_t *ret_len);

/* "10.0.0.1:80", "[::1]:80", "-" */
enum { PROTO_ADDRESS_TEXT_MAX = 64 };
void proto_address_format(const struct proto_address *address,
                          char ret_text[static PROTO_ADDRESS_TEXT_MAX]);
