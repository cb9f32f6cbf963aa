/* client.c - see client.h. */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* How long to let a full queue of connections drain before the next try. */
#define QUEUE_PAUSE (10 * USEC_PER_MSEC)

static int no_engine(const char *socket, int r) {
    const char *hint = r == -ENOENT || r == -ECONNREFUSED ? " (is dockwake-engine.socket running?)"
                       : r == -EACCES || r == -EPERM
                           ? " (only root and members of the group dockwake-admin may)"
                           : "";

    cli_error("the engine cannot be reached at %s: %s%s", socket, strerror(-r), hint);
    return CLI_NO_ENGINE;
}

/* A queue that is full offers nothing to wait for, so this one looks again after a pause. */
static int connect_until(const char *path, usec_t deadline) {
    const struct timespec pause = {.tv_nsec = QUEUE_PAUSE * 1000};
    int fd;

    while ((fd = proto_connect(path, true)) == -EAGAIN) {
        if (now_usec(CLOCK_MONOTONIC) >= deadline) {
            return -ETIMEDOUT;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

/* Waits until there is something to receive. */
static int wait_readable(int fd, usec_t deadline) {
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        int timeout = -1;
        int r;

        if (deadline != USEC_INFINITY) {
            usec_t left = usec_sub(deadline, now_usec(CLOCK_MONOTONIC));

            timeout = (int)((left + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
        }
        r = poll(&p, 1, timeout);
        if (r > 0) {
            return 0;
        }
        if (r == 0) {
            return -ETIMEDOUT;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

/* END as an exit status. */
static int finish(const struct cli_options *options, const struct proto_end *end) {
    int result = end->result <= INT_MAX ? (int)end->result : EIO;
    const char *text = end->text[0] != '\0' ? end->text : strerror(result);

    if (result == 0) {
        return CLI_OK;
    }
    if (options->app == NULL) {
        cli_error("%s", text);
        return CLI_FAILED;
    }
    if (result == ENOENT || result == ESRCH) {
        cli_error("%s: no such app", options->app);
        return CLI_NO_SUCH_APP;
    }
    cli_error("%s: %s", options->app, text);
    return CLI_FAILED;
}

static int answers(const struct cli_options *options, int fd, usec_t deadline, client_app_fn on_app,
                   void *userdata) {
    size_t left = CLIENT_ANSWERS_MAX;

    for (;;) {
        union proto_message message;
        int r = proto_receive(fd, PROTO_ENGINE_TO_ADMIN, &message);

        if (r == -EAGAIN) {
            r = wait_readable(fd, deadline);
            if (r == 0) {
                continue;
            }
        }
        if (r == -ETIMEDOUT) {
            cli_error("the engine did not answer within %u s",
                      (unsigned)(CLIENT_TIMEOUT / USEC_PER_SEC));
            return CLI_NO_ENGINE;
        }
        if (r == 0 || r == -ECONNRESET) {
            cli_error("the engine left before it had answered");
            return CLI_NO_ENGINE;
        }
        if (r == -EBADMSG || r == -EPERM) {
            cli_error("the engine's answer is not understood: is it another version?");
            return CLI_NO_ENGINE;
        }
        if (r < 0) {
            return no_engine(options->socket, r);
        }
        if (message.header.opcode == PROTO_END) {
            return finish(options, &message.end);
        }
        /* With a wait there may be any number, as often as the state changes. */
        r = deadline != USEC_INFINITY && left-- == 0 ? -EMSGSIZE : on_app(userdata, &message.app);
        if (r < 0) {
            cli_error("%s", strerror(-r));
            return CLI_FAILED;
        }
    }
}

int client_request(const struct cli_options *options, enum proto_opcode opcode,
                   client_app_fn on_app, void *userdata) {
    usec_t deadline = usec_add(now_usec(CLOCK_MONOTONIC), CLIENT_TIMEOUT);
    bool wait = opcode == PROTO_WAKE && options->wait;
    union proto_message message;
    auto_close int fd = -1;
    int r;

    memset(&message, 0, sizeof(message));
    if (opcode != PROTO_LIST) {
        size_t len = strlen(options->app);

        if (len == 0 || len >= sizeof(message.request.app)) {
            cli_error("%s: no such app", options->app);
            return CLI_NO_SUCH_APP;
        }
        memcpy(message.request.app, options->app, len + 1);
        message.request.flags = wait ? PROTO_WAKE_WAIT : 0;
    }
    fd = connect_until(options->socket, deadline);
    if (fd < 0) {
        return no_engine(options->socket, fd);
    }
    r = proto_send(fd, opcode, &message);
    if (r < 0) {
        return no_engine(options->socket, r);
    }
    return answers(options, fd, wait ? USEC_INFINITY : deadline, on_app, userdata);
}
