/* listener.c - see listener.h. */
#include "listener.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "front_internal.h"
#include "log.h"

/* A worker's eye on a socket. */
struct listener {
    struct source source; /* its descriptor is the front's */
    struct worker *worker;
    const struct listener_socket *socket;
    bool shared;
    bool enabled;
    TAILQ_ENTRY(listener) link;
};

/* --- addresses and options ----------------------------------------------------------------------- */

union address {
    struct sockaddr_storage storage;
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* An IPv4 client of an IPv6 socket is an IPv4 client. */
static struct proto_address from_sockaddr(const union address *from) {
    struct proto_address address = {.family = AF_UNSPEC};

    if (from->sa.sa_family == AF_INET) {
        address.family = AF_INET;
        address.port = from->in.sin_port;
        memcpy(address.ip, &from->in.sin_addr, 4);
    } else if (from->sa.sa_family == AF_INET6) {
        const uint8_t *ip = from->in6.sin6_addr.s6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&from->in6.sin6_addr);

        address.family = mapped ? AF_INET : AF_INET6;
        address.port = from->in6.sin6_port;
        memcpy(address.ip, mapped ? ip + 12 : ip, mapped ? 4 : 16);
    }
    return address;
}

int listener_local(int fd, struct proto_address *ret_address) {
    union address address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, &address.sa, &len) < 0) {
        return -errno;
    }
    *ret_address = from_sockaddr(&address);
    return 0;
}

int listener_port(int fd, uint16_t *ret_port) {
    struct proto_address address = {0};
    int r = listener_local(fd, &address);

    if (r == 0) {
        *ret_port = ntohs(address.port);
    }
    return r;
}

int listener_peer(int fd, struct proto_address *ret_address) {
    union address address = {0};
    socklen_t len = sizeof(address);

    if (getpeername(fd, &address.sa, &len) < 0) {
        return -errno;
    }
    *ret_address = from_sockaddr(&address);
    return 0;
}

void listener_set_options(int fd, uint16_t port) {
    int one = 1;

    if (port == 0) {
        return;
    }
    /* Neither is a reason to refuse service. */
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

/*
 * A connection inherits the options of its listener, from the moment at which it arrives: those that
 * wait already would miss what is set now. So the listener, which is systemd's, stays as it is.
 */
static bool has_options(int fd, uint16_t port) {
    int nodelay = 0, keepalive = 0;
    socklen_t len = sizeof(int);

    return port == 0 || (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len) == 0 &&
                         getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &len) == 0 &&
                         nodelay != 0 && keepalive != 0);
}

/* --- accepting ----------------------------------------------------------------------------------- */

/* Returns whether there may be more. */
static bool accept_one(const struct listener *listener) {
    const struct listener_socket *socket = listener->socket;
    union address address = {0};
    socklen_t len = sizeof(address);
    int fd = accept4(socket->fd, &address.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        struct accepted accepted = {fd, socket->port, from_sockaddr(&address)};

        if (!socket->inherits) {
            listener_set_options(fd, socket->port);
        }
        worker_accepted(listener->worker, &accepted);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    /* accept(2): errors that the new connection has already are reported here too. */
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    default:
        worker_exhausted(listener->worker, errno);
        return false;
    }
}

static void on_listener(struct source *source, uint32_t events) {
    const struct listener *listener = container_of(source, struct listener, source);
    unsigned batch = listener->shared ? WORKER_ACCEPT_SHARE : WORKER_ACCEPT_BATCH;

    (void)events;
    for (unsigned i = 0; i < batch && listener->enabled; i++) {
        if (!accept_one(listener)) {
            return;
        }
    }
}

/* --- a worker's ---------------------------------------------------------------------------------- */

static int enable(struct listener *listener, bool wanted) {
    struct loop *loop = &listener->worker->loop;
    int r = 0;

    if (wanted && !listener->enabled) {
        r = loop_add_listener(loop, &listener->source, listener->shared);
    } else if (!wanted && listener->enabled) {
        loop_remove(loop, &listener->source);
    }
    if (r == 0) {
        listener->enabled = wanted;
    }
    return r;
}

int listener_new(struct worker *worker, const struct listener_socket *socket, bool shared) {
    struct listener *listener = calloc(1, sizeof(*listener));
    int r;

    if (listener == NULL) {
        return -ENOMEM;
    }
    *listener = (struct listener){
        .source = {.fd = socket->fd, .ready = on_listener},
        .worker = worker,
        .socket = socket,
        .shared = shared,
    };
    r = enable(listener, true);
    if (r < 0) {
        free(listener);
        return r;
    }
    TAILQ_INSERT_TAIL(&worker->listeners, listener, link);
    return 0;
}

void listeners_free(struct worker *worker) {
    struct listener *listener;

    while ((listener = TAILQ_FIRST(&worker->listeners)) != NULL) {
        (void)enable(listener, false);
        TAILQ_REMOVE(&worker->listeners, listener, link);
        free(listener);
    }
}

void listeners_enable(struct worker *worker, bool wanted) {
    struct listener *listener;

    TAILQ_FOREACH (listener, &worker->listeners, link) {
        int r = enable(listener, wanted);

        if (r < 0) {
            log_error("Port %u: cannot resume accepting: %s", (unsigned)listener->socket->port,
                      strerror(-r));
        }
    }
}

/* --- the front's --------------------------------------------------------------------------------- */

int listener_socket_new(int fd, struct listener_socket **ret_socket) {
    struct listener_socket *socket;
    auto_close int owned = fd;
    uint16_t port = 0;
    int r;

    r = listener_port(fd, &port);
    if (r == 0) {
        r = set_nonblock(fd);
    }
    if (r < 0) {
        return r;
    }
    socket = malloc(sizeof(*socket));
    if (socket == NULL) {
        return -ENOMEM;
    }
    *socket = (struct listener_socket){
        .fd = take_fd(&owned),
        .port = port,
        .inherits = has_options(fd, port),
    };
    *ret_socket = socket;
    return 0;
}

void listener_socket_free(struct listener_socket *socket) {
    safe_close(socket->fd);
    free(socket);
}
