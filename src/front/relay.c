/* relay.c - see relay.h. */
#include "relay.h"

#include <string.h>
#include <sys/socket.h>

struct flow_rest {
    uint32_t at, size; /* bytes sent of it, and in all */
    char data[];
};

void side_init(struct side *side, int fd, void (*ready)(struct source *source, uint32_t events)) {
    *side = (struct side){.source = {.fd = fd, .ready = ready}};
}

void side_note(struct side *side, uint32_t events) {
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        side->readable = true;
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

void side_close(struct side *side) {
    source_close(&side->source);
}

void flow_init(struct flow *flow, uint64_t left, flow_filter filter) {
    *flow = (struct flow){.left = left, .filter = filter};
}

void flow_done(struct flow *flow) {
    free(take_ptr(flow->rest));
}

/* Keeps what the sink did not take. Returns 0 or -ENOMEM. */
static int keep(struct flow *flow, const char *data, size_t size) {
    struct flow_rest *rest;

    if (size == 0) {
        return 0;
    }
    rest = malloc(sizeof(*rest) + size);
    if (rest == NULL) {
        return -ENOMEM;
    }
    rest->at = 0;
    rest->size = (uint32_t)size;
    memcpy(rest->data, data, size);
    flow->rest = rest;
    return 0;
}

/* Returns the bytes taken, 0 when it takes none now, or negative errno. */
static ssize_t side_send(struct side *to, const char *data, size_t size) {
    ssize_t n;

    if (!to->writable) {
        return 0;
    }
    do {
        n = send(to->source.fd, data, size, MSG_NOSIGNAL);
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
    ssize_t n = side_send(to, rest->data + rest->at, rest->size - rest->at);

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

int flow_write(struct flow *flow, struct side *to, const char *data, size_t size) {
    ssize_t n;

    if (flow->rest != NULL) {
        return -EBUSY;
    }
    n = side_send(to, data, size);
    return n < 0 ? (int)n : keep(flow, data + n, size - (size_t)n);
}

/* Reads once. Returns the bytes read; 0: nothing now, or the end or an error was noted. */
static size_t read_new(struct flow *flow, struct side *from,
                       char buffer[static RELAY_BUFFER_SIZE]) {
    size_t want = flow->left < RELAY_BUFFER_SIZE ? (size_t)flow->left : RELAY_BUFFER_SIZE;
    ssize_t n;

    do {
        n = recv(from->source.fd, buffer, want, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN) {
            from->readable = false;
        } else {
            flow->error = errno;
        }
        return 0;
    }
    if (n == 0) {
        flow->ended = true;
        return 0;
    }
    if ((size_t)n < want && from->short_is_all && !from->no_more) {
        from->readable = false;
    }
    if (flow->left != FLOW_ENDLESS) {
        flow->left -= (uint64_t)n;
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
        pass = size;
        if (flow->filter != NULL) {
            switch (flow->filter(flow, buffer, size, &pass)) {
            case HTTP_PARTIAL:
                pass = size;
                break;
            case HTTP_COMPLETE:
                flow->left = 0;
                break;
            case HTTP_BAD:
                flow->refused = true;
                continue;
            }
        }
        flow->passed = true;
        if (flow_write(flow, to, buffer, pass) < 0) {
            return sink_failed(flow);
        }
    }
}
