/* listener.c - see listener.h. */
#include "listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "conn.h"
#include "log.h"

struct listener {
    struct source source;
    struct front *front;
    uint16_t port; /* 0: a Unix socket */
    bool inherits; /* what it accepts has the options that connections are to have */
    TAILQ_ENTRY(listener) link;
};

int listener_port(int fd, uint16_t *ret_port) {
    union {
        struct sockaddr_storage storage;
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, &address.sa, &len) < 0) {
        return -errno;
    }
    *ret_port = address.sa.sa_family == AF_INET    ? ntohs(address.in.sin_port)
                : address.sa.sa_family == AF_INET6 ? ntohs(address.in6.sin6_port)
                                                   : 0;
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

/* Returns whether there may be more. */
static bool accept_one(struct listener *listener) {
    struct front *front = listener->front;
    int fd = accept4(listener->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        if (!listener->inherits) {
            listener_set_options(fd, listener->port);
        }
        conn_accepted(front, fd, listener->port, false);
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
        front_exhausted(front, errno);
        return false;
    }
}

static void on_listener(struct source *source, uint32_t events) {
    struct listener *listener = container_of(source, struct listener, source);

    (void)events;
    for (unsigned i = 0; i < FRONT_ACCEPT_BATCH && source->fd >= 0; i++) {
        if (!accept_one(listener)) {
            return;
        }
    }
}

int listener_new(struct front *front, int fd) {
    struct listener *listener;
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
    listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return -ENOMEM;
    }
    *listener = (struct listener){
        .source = {.fd = fd, .ready = on_listener},
        .front = front,
        .port = port,
        .inherits = has_options(fd, port),
    };
    r = loop_add_listener(&front->loop, &listener->source);
    if (r < 0) {
        free(listener);
        return r;
    }
    take_fd(&owned);
    TAILQ_INSERT_TAIL(&front->listeners, listener, link);
    return 0;
}

void listener_free(struct listener *listener) {
    TAILQ_REMOVE(&listener->front->listeners, listener, link);
    loop_remove(&listener->front->loop, &listener->source);
    source_close(&listener->source);
    free(listener);
}

void listeners_free(struct front *front) {
    struct listener *listener;

    while ((listener = TAILQ_FIRST(&front->listeners)) != NULL) {
        listener_free(listener);
    }
}

void listeners_enable(struct front *front, bool enable) {
    struct listener *listener;
    int r;

    TAILQ_FOREACH (listener, &front->listeners, link) {
        r = loop_enable_listener(&front->loop, &listener->source, enable);
        if (r < 0) {
            log_error("Port %u: cannot %s accepting: %s", (unsigned)listener->port,
                      enable ? "resume" : "pause", strerror(-r));
        }
    }
}
