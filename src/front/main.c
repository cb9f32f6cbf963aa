/*
 * main.c - dockwake-front: takes sockets from systemd or inetd and hands connections to apps.
 *
 * A cold connection waits for this start. So the engine is called first, what is not needed for a
 * connection (the other workers too) comes after the first turn of the loop, and the program is
 * linked with little.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "activation.h"
#include "front.h"
#include "log.h"
#include "options.h"
#include "sandbox.h"

struct signals {
    struct source source;
    struct front *front;
};

static void on_signal(struct source *source, uint32_t events) {
    struct signals *signals = container_of(source, struct signals, source);
    struct signalfd_siginfo info;

    (void)events;
    while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            front_reload(signals->front);
        } else {
            front_stop(signals->front);
        }
    }
}

static int signals_init(struct signals *signals, struct front *front) {
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    if (pthread_sigmask(SIG_BLOCK, &mask, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return -EINVAL;
    }
    *signals = (struct signals){
        .source = {.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal},
        .front = front,
    };
    if (signals->source.fd < 0) {
        return -errno;
    }
    return loop_add_listener(front_loop(front), &signals->source, false);
}

/* Takes the sockets that were passed: *ret_n from *ret_first on. Returns 0 or negative errno. */
static int take_sockets(int *ret_first, int *ret_n) {
    int n = activation_take(), fd = ACTIVATION_FIRST_FD;

    if (n == 0) {
        n = 1;
        fd = activation_take_stdin();
        if (fd < 0) {
            return fd;
        }
    }
    *ret_first = fd;
    *ret_n = n;
    return 0;
}

/* Returns how many sockets could be used. */
static int add_sockets(struct front *front, int first, int n) {
    int used = 0;

    for (int fd = first; fd < first + n; fd++) {
        int r = front_add_socket(front, fd);

        if (r == -ENOTCONN) {
            log_info("Descriptor %d: its client has gone", fd);
        } else if (r < 0) {
            log_error("Descriptor %d cannot be served: %s", fd, strerror(-r));
            continue;
        }
        used++;
    }
    return used;
}

/* The configuration can still be read, for reloads. */
static int give_up_files(const struct options *options) {
    int r = sandbox_keep_config(options->config_dir, NULL);

    if (r == -EOPNOTSUPP) {
        log_notice("Landlock is not to be had: the file system stays in reach");
    }
    return r == -EOPNOTSUPP ? 0 : r;
}

/* Serves until it is time to leave. Returns 0 or negative errno. */
static int run(const struct options *options, const struct config_paths *paths, int first, int n) {
    struct front *front = NULL;
    struct signals signals = {.source.fd = -1};
    int r;

    r = front_new(paths, options->engine_socket, &front);
    if (r == 0) {
        r = signals_init(&signals, front);
    }
    if (r == 0) {
        r = give_up_files(options);
    }
    if (r == 0 && add_sockets(front, first, n) == 0) {
        r = -ENOTSOCK;
    }
    if (r == 0) {
        /* Who connected first is looked after before systemd is, and before there are threads. */
        r = loop_turn(front_loop(front), 0);
    }
    if (r == 0) {
        activation_notify("READY=1");
        r = front_start(front);
        if (r < 0) {
            log_warning("Not all workers could be started: %s", strerror(-r));
        }
        r = front_run(front);
    }
    activation_notify("STOPPING=1");
    front_free(front);
    source_close(&signals.source);
    return r;
}

int main(int argc, char **argv) {
    static char file[4096], apps[4096];
    struct config_paths paths;
    struct options options;
    int first, n, r;

    r = options_parse(argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    log_init("dockwake-front", options.debug);

    r = take_sockets(&first, &n);
    if (r < 0) {
        log_error("No socket was passed by systemd, and standard input is none: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    r = config_paths_init(options.config_dir, file, apps, &paths);
    if (r == 0) {
        r = run(&options, &paths, first, n);
    }
    if (r < 0) {
        log_error("Giving up: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
