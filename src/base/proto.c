/*
 * proto.c - checks, sends and receives the packets of proto.h.
 *
 * One table says for each opcode how long its packet is, where it may be sent and where its strings
 * are; nothing else in here knows a single message.
 *
 * Descriptors never enter the process: no room is given for control data, so the kernel drops what
 * came along and says MSG_CTRUNC (unix(7), recvmsg(2)).
 */
#include "proto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"

enum { STRINGS_MAX = 3 };

struct layout {
    uint32_t size;
    unsigned channels;
    struct {
        uint16_t offset, size; /* size 0: no more strings */
    } strings[STRINGS_MAX];
};

#define STRING(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)

static const struct layout layouts[PROTO_OPCODE_MAX] = {
    [PROTO_LEASE] = {sizeof(struct proto_lease),
                     PROTO_FRONT_TO_ENGINE,
                     {{STRING(proto_lease, app)}}},
    [PROTO_RELEASE] = {sizeof(struct proto_lease),
                       PROTO_FRONT_TO_ENGINE,
                       {{STRING(proto_lease, app)}}},
    [PROTO_STARTING] = {sizeof(struct proto_lease),
                        PROTO_ENGINE_TO_FRONT,
                        {{STRING(proto_lease, app)}}},
    [PROTO_READY] = {sizeof(struct proto_ready),
                     PROTO_ENGINE_TO_FRONT,
                     {{STRING(proto_ready, app)}}},
    [PROTO_FAILED] = {sizeof(struct proto_failed),
                      PROTO_ENGINE_TO_FRONT,
                      {{STRING(proto_failed, app)}, {STRING(proto_failed, text)}}},
    [PROTO_GONE] = {sizeof(struct proto_lease),
                    PROTO_ENGINE_TO_FRONT,
                    {{STRING(proto_lease, app)}}},
    [PROTO_LIST] = {sizeof(struct proto_list), PROTO_ADMIN_TO_ENGINE, {{0, 0}}},
    [PROTO_STATUS] = {sizeof(struct proto_request),
                      PROTO_ADMIN_TO_ENGINE,
                      {{STRING(proto_request, app)}}},
    [PROTO_WAKE] = {sizeof(struct proto_request),
                    PROTO_ADMIN_TO_ENGINE,
                    {{STRING(proto_request, app)}}},
    [PROTO_SLEEP] = {sizeof(struct proto_request),
                     PROTO_ADMIN_TO_ENGINE,
                     {{STRING(proto_request, app)}}},
    [PROTO_APP] = {sizeof(struct proto_app),
                   PROTO_ENGINE_TO_ADMIN,
                   {{STRING(proto_app, app)},
                    {STRING(proto_app, container)},
                    {STRING(proto_app, text)}}},
    [PROTO_END] = {sizeof(struct proto_end), PROTO_ENGINE_TO_ADMIN, {{STRING(proto_end, text)}}},
    [PROTO_PROGRESS] = {sizeof(struct proto_progress),
                        PROTO_ENGINE_TO_FRONT,
                        {{STRING(proto_progress, app)}}},
    [PROTO_LOGS] = {sizeof(struct proto_logs), PROTO_FRONT_TO_ENGINE, {{STRING(proto_logs, app)}}},
    [PROTO_LOG] = {sizeof(struct proto_log),
                   PROTO_ENGINE_TO_FRONT,
                   {{STRING(proto_log, app)}, {STRING(proto_log, text)}}},
    [PROTO_LOGS_END] = {sizeof(struct proto_logs_end),
                        PROTO_ENGINE_TO_FRONT,
                        {{STRING(proto_logs_end, app)}}},
};

static const struct layout *layout_of(unsigned opcode) {
    if (opcode >= PROTO_OPCODE_MAX || layouts[opcode].size == 0) {
        return NULL;
    }
    return &layouts[opcode];
}

int proto_check(const union proto_message *message, size_t size, enum proto_channel channel) {
    const struct layout *layout;

    if (size < sizeof(message->header) || message->header.version != PROTO_VERSION) {
        return -EBADMSG;
    }
    layout = layout_of(message->header.opcode);
    if (layout == NULL || size != layout->size || message->header.size != layout->size) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < STRINGS_MAX && layout->strings[i].size > 0; i++) {
        const char *string = (const char *)message + layout->strings[i].offset;

        if (memchr(string, '\0', layout->strings[i].size) == NULL) {
            return -EBADMSG;
        }
    }
    return (layout->channels & channel) != 0 ? 0 : -EPERM;
}

int proto_receive(int fd, enum proto_channel channel, union proto_message *ret_message) {
    union proto_message message;
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    int r;

    do {
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return -EBADMSG;
    }
    if (n == 0) {
        return 0;
    }
    r = proto_check(&message, (size_t)n, channel);
    if (r < 0) {
        return r;
    }
    memcpy(ret_message, &message, (size_t)n);
    return (int)n;
}

/* Clears what lies behind the end of each string, so that no stale byte leaves the process. */
static int strings_tidy(const struct layout *layout, union proto_message *message) {
    for (size_t i = 0; i < STRINGS_MAX && layout->strings[i].size > 0; i++) {
        char *string = (char *)message + layout->strings[i].offset;
        size_t size = layout->strings[i].size;
        size_t len = strnlen(string, size);

        if (len == size) {
            return -EINVAL;
        }
        memset(string + len, 0, size - len);
    }
    return 0;
}

int proto_send(int fd, enum proto_opcode opcode, union proto_message *message) {
    const struct layout *layout = layout_of(opcode);
    ssize_t n;
    int r;

    if (layout == NULL) {
        return -EINVAL;
    }
    r = strings_tidy(layout, message);
    if (r < 0) {
        return r;
    }
    message->header = (struct proto_header){
        .version = PROTO_VERSION,
        .opcode = (uint16_t)opcode,
        .size = layout->size,
    };
    do {
        n = send(fd, message, layout->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
    }
    return 0;
}

int proto_connect(const char *path, bool nonblock) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    auto_close int fd = -1;

    if (len == 0) {
        return -EINVAL;
    }
    if (len >= sizeof(sa.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(sa.sun_path, path, len + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0) {
        return -errno;
    }
    while (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
        if (errno != EINTR) {
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        }
    }
    return take_fd(&fd);
}

static const char *const state_names[] = {
    [PROTO_STATE_UNKNOWN] = "unknown",   [PROTO_STATE_MISSING] = "missing",
    [PROTO_STATE_ASLEEP] = "asleep",     [PROTO_STATE_PAUSED] = "paused",
    [PROTO_STATE_STARTING] = "starting", [PROTO_STATE_PROBING] = "probing",
    [PROTO_STATE_READY] = "ready",       [PROTO_STATE_STOPPING] = "stopping",
    [PROTO_STATE_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(state_names) == PROTO_STATE_MAX, "every state has a name");

static const char *const failure_names[] = {
    [PROTO_FAILURE_NONE] = "none",
    [PROTO_FAILURE_TIMEOUT] = "timeout",
    [PROTO_FAILURE_UNKNOWN_APP] = "unknown-app",
    [PROTO_FAILURE_BROKEN_APP] = "broken-app",
    [PROTO_FAILURE_MISSING] = "missing",
    [PROTO_FAILURE_DOCKER] = "docker",
    [PROTO_FAILURE_EXITED] = "exited",
    [PROTO_FAILURE_NO_ADDRESS] = "no-address",
    [PROTO_FAILURE_STOPPED] = "stopped",
    [PROTO_FAILURE_ASLEEP] = "asleep",
    [PROTO_FAILURE_FOREIGN] = "foreign",
};
_Static_assert(ARRAY_SIZE(failure_names) == PROTO_FAILURE_MAX, "every failure has a name");

const char *proto_state_name(enum proto_state state) {
    return (unsigned)state < PROTO_STATE_MAX ? state_names[state] : "unknown";
}

const char *proto_failure_name(enum proto_failure failure) {
    return (unsigned)failure < PROTO_FAILURE_MAX ? failure_names[failure] : "unknown";
}

void proto_address_to_sockaddr(const struct proto_address *address, struct sockaddr_storage *ret_sa,
                               socklen_t *ret_len) {
    memset(ret_sa, 0, sizeof(*ret_sa));
    *ret_len = 0;
    if (address->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = address->port};

        memcpy(&in.sin_addr, address->ip, sizeof(in.sin_addr));
        memcpy(ret_sa, &in, sizeof(in));
        *ret_len = sizeof(in);
    } else if (address->family == AF_INET6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = address->port};

        memcpy(&in6.sin6_addr, address->ip, sizeof(in6.sin6_addr));
        memcpy(ret_sa, &in6, sizeof(in6));
        *ret_len = sizeof(in6);
    }
}

void proto_address_format(const struct proto_address *address,
                          char ret_text[static PROTO_ADDRESS_TEXT_MAX]) {
    char ip[INET6_ADDRSTRLEN];
    bool v6 = address->family == AF_INET6;

    if ((address->family != AF_INET && !v6) ||
        inet_ntop(address->family, address->ip, ip, sizeof(ip)) == NULL) {
        memcpy(ret_text, "-", 2);
        return;
    }
    snprintf(ret_text, PROTO_ADDRESS_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", ip,
             (unsigned)ntohs(address->port));
}
