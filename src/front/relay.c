/* relay.c - see relay.h. */
#include "relay.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct flow_rest {
    uint32_t at, size; /* bytes sent of it, and in all */
    char data[];
};

void side_init(struct side *side, int fd, void (*ready)(struct source *source, uint32_t events)) {
    *side = (struct side){.source = {.fd = fd, .ready = ready}};
}

void side_note(struct side *side, uint32_t events) {
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        side->readable = side->news = true;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        side->writable = true;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) {
        side->no_more = true;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        side->gone = true;
    }
}

static ssize_t receive(struct side *side, char *buffer, size_t size, int flags) {
    ssize_t n;

    do {
        n = recv(side->source.fd, buffer, size, flags);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static struct flow_rest *rest_new(size_t size) {
    struct flow_rest *rest = malloc(sizeof(*rest) + size);

    if (rest != NULL) {
        rest->at = 0;
        rest->size = (uint32_t)size;
    }
    return rest;
}

/* Copies from what is ahead, without taking it. */
static size_t copy_ahead(const struct side *side, char *buffer, size_t size) {
    const struct flow_rest *ahead = side->ahead;
    size_t n;

    if (ahead == NULL) {
        return 0;
    }
    n = ahead->size - ahead->at < size ? ahead->size - ahead->at : size;
    memcpy(buffer, ahead->data + ahead->at, n);
    return n;
}

/* Takes up to size bytes of what is ahead away; returns how many. */
static size_t drop_ahead(struct side *side, size_t size) {
    struct flow_rest *ahead = side->ahead;
    size_t n;

    if (ahead == NULL) {
        return 0;
    }
    n = ahead->size - ahead->at < size ? ahead->size - ahead->at : size;
    ahead->at += (uint32_t)n;
    if (ahead->at == ahead->size) {
        free(take_ptr(side->ahead));
    }
    return n;
}

ssize_t side_recv(struct side *side, char *buffer, size_t size) {
    size_t n = copy_ahead(side, buffer, size);

    if (n > 0) {
        drop_ahead(side, n);
        return (ssize_t)n;
    }
    return receive(side, buffer, size, 0);
}

ssize_t side_peek(struct side *side, char *buffer, size_t size) {
    size_t ahead = copy_ahead(side, buffer, size);
    ssize_t n;

    if (ahead == size) {
        return (ssize_t)ahead;
    }
    n = receive(side, buffer + ahead, size - ahead, MSG_PEEK);
    if (ahead > 0) {
        return (ssize_t)ahead + (n > 0 ? n : 0);
    }
    return n;
}

ssize_t side_take_ahead(struct side *side, char *buffer, size_t size) {
    ssize_t n;

    if (side->ahead != NULL) {
        return side_peek(side, buffer, size);
    }
    n = receive(side, buffer, size, 0);
    if (n > 0) {
        side->ahead = rest_new((size_t)n);
        if (side->ahead == NULL) {
            return -ENOMEM;
        }
        memcpy(side->ahead->data, buffer, (size_t)n);
    }
    return n;
}

int side_discard(struct side *side, size_t size) {
    char scratch[4096];

    size -= drop_ahead(side, size);
    while (size > 0) {
        size_t want = side->short_is_all || size < sizeof(scratch) ? size : sizeof(scratch);
        /* tcp(7): with MSG_TRUNC the bytes are thrown away and not copied. */
        ssize_t n = receive(side, scratch, want, side->short_is_all ? MSG_TRUNC : 0);

        if (n <= 0) {
            return n < 0 ? (int)n : -EPIPE;
        }
        size -= (size_t)n;
    }
    return 0;
}

void side_close(struct side *side) {
    source_close(&side->source);
    free(take_ptr(side->ahead));
}

void flow_init(struct flow *flow, uint64_t left, flow_filter filter) {
    *flow = (struct flow){.left = left, .filter = filter};
}

void flow_done(struct flow *flow) {
    free(take_ptr(flow->rest));
}

/* Keeps what the sink did not take, from at on. Returns 0 or -ENOMEM. */
static int keep(struct flow *flow, const struct iovec pieces[static 2], size_t at) {
    size_t all = pieces[0].iov_len + pieces[1].iov_len, size = all - at;
    struct flow_rest *rest;
    size_t done = 0;

    if (size == 0) {
        return 0;
    }
    rest = rest_new(size);
    if (rest == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < 2; i++) {
        size_t skip = at < pieces[i].iov_len ? at : pieces[i].iov_len;

        if (pieces[i].iov_len > skip) {
            memcpy(rest->data + done, (const char *)pieces[i].iov_base + skip,
                   pieces[i].iov_len - skip);
        }
        done += pieces[i].iov_len - skip;
        at -= skip;
    }
    flow->rest = rest;
    return 0;
}

/* Returns the bytes taken, 0 when it takes none now, or negative errno. */
static ssize_t side_send(struct side *to, const struct iovec pieces[static 2]) {
    size_t size = pieces[0].iov_len + pieces[1].iov_len;
    struct msghdr message = {
        .msg_iov = (struct iovec *)pieces,
        .msg_iovlen = pieces[1].iov_len > 0 ? 2 : 1,
    };
    ssize_t n;

    if (!to->writable) {
        return 0;
    }
    do {
        n = message.msg_iovlen == 1
                ? send(to->source.fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                : sendmsg(to->source.fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN) {
            return -errno;
        }
        n = 0;
    }
    if ((size_t)n < size) {
        to->writable = false;
    }
    return n;
}

/* Returns 1 when all was taken, 0 when not, or negative errno. */
static int send_rest(struct flow *flow, struct side *to) {
    struct flow_rest *rest = flow->rest;
    ssize_t n = side_send(to, (struct iovec[2]){{.iov_base = rest->data + rest->at,
                                                 .iov_len = rest->size - rest->at}});

    if (n < 0) {
        return (int)n;
    }
    rest->at += (uint32_t)n;
    if (rest->at < rest->size) {
        return 0;
    }
    flow_done(flow);
    return 1;
}

int flow_write_pair(struct flow *flow, struct side *to, const char *head, size_t head_size,
                    const char *body, size_t body_size) {
    const struct iovec pieces[2] = {
        {.iov_base = (char *)head, .iov_len = head_size},
        {.iov_base = (char *)body, .iov_len = body_size},
    };
    ssize_t n;

    if (flow->rest != NULL) {
        return -EBUSY;
    }
    n = side_send(to, pieces);
    return n < 0 ? (int)n : keep(flow, pieces, (size_t)n);
}

int flow_write(struct flow *flow, struct side *to, const char *data, size_t size) {
    return flow_write_pair(flow, to, data, size, NULL, 0);
}

/* Reads once. Returns the bytes read; 0: nothing now, or the end or an error was noted. */
static size_t read_new(struct flow *flow, struct side *from,
                       char buffer[static RELAY_BUFFER_SIZE]) {
    size_t want = flow->left < RELAY_BUFFER_SIZE ? (size_t)flow->left : RELAY_BUFFER_SIZE;
    bool ahead = from->ahead != NULL;
    ssize_t n = flow->peeks ? side_peek(from, buffer, want) : side_recv(from, buffer, want);

    if (n == -EAGAIN) {
        from->readable = false;
        return 0;
    }
    if (n < 0) {
        flow->error = (int)-n;
        return 0;
    }
    if (n == 0) {
        flow->ended = true;
        return 0;
    }
    if ((size_t)n < want && from->short_is_all && !from->no_more && !ahead) {
        from->readable = false;
    }
    return (size_t)n;
}

static enum flow_result sink_failed(struct flow *flow) {
    flow->broken = true;
    flow_done(flow);
    return FLOW_SINK_FAILED;
}

enum flow_result flow_run(struct flow *flow, struct side *from, struct side *to,
                          char buffer[static RELAY_BUFFER_SIZE]) {
    unsigned reads = 0;

    for (;;) {
        size_t size, pass;

        if (flow->broken) {
            return FLOW_SINK_FAILED;
        }
        if (flow->rest != NULL) {
            int r = send_rest(flow, to);

            if (r < 0) {
                return sink_failed(flow);
            }
            if (r == 0) {
                return FLOW_WAITS;
            }
        }
        if (flow->refused) {
            return FLOW_REFUSED;
        }
        if (flow->error != 0) {
            return FLOW_SOURCE_FAILED;
        }
        if (flow->ended || flow->left == 0) {
            return FLOW_DONE;
        }
        if (!from->readable || !to->writable) {
            return FLOW_WAITS;
        }
        if (reads++ == RELAY_READS) {
            return FLOW_MORE;
        }

        size = read_new(flow, from, buffer);
        if (size == 0) {
            continue;
        }
        if (flow->left != FLOW_ENDLESS) {
            flow->left -= size;
        }
        pass = size;
        if (flow->filter != NULL) {
            switch (flow->filter(flow, buffer, size, &pass)) {
            case HTTP_PARTIAL:
                break;
            case HTTP_COMPLETE:
                flow->left = 0;
                break;
            case HTTP_BAD:
                flow->refused = true;
                continue;
            }
        }
        if (flow->peeks) {
            flow->error = -side_discard(from, pass);
            from->readable = from->readable || pass < size;
        }
        if (pass == 0) {
            continue;
        }
        flow->passed = true;
        if (flow_write(flow, to, buffer, pass) < 0) {
            return sink_failed(flow);
        }
    }
}
