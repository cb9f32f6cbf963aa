/*
 * main.c - dockwake-engine: the process that may talk to Docker.
 *
 * Started by systemd for dockwake-engine.socket (the fronts) and dockwake-engine-admin.socket (the
 * administrator), told apart by their FileDescriptorName=, "front" and "admin". It leaves by
 * itself.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "engine.h"
#include "log.h"
#include "sandbox.h"

#define MARKER "/run/dockwake/awake"

struct options {
    const char *config_dir;
    const char *marker;
    bool debug;
};

static void print_help(void) {
    printf("dockwake-engine wakes containers and puts them to sleep. systemd starts it.\n\n"
           "  --config-dir DIR  read DIR/dockwake.conf and DIR/apps.d\n"
           "  --marker FILE     exists while something is awake (" MARKER ")\n"
           "  --debug           say more\n"
           "  --help, --version\n");
}

/* Returns 0 to go on, 1 when all is done, or -EINVAL. */
static int parse_options(int argc, char **argv, struct options *options) {
    static const struct option table[] = {
        {"config-dir", required_argument, NULL, 'c'},
        {"marker", required_argument, NULL, 'm'},
        {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0)
        switch (c) {
        case 'c':
            options->config_dir = optarg;
            break;
        case 'm':
            options->marker = optarg;
            break;
        case 'd':
            options->debug = true;
            break;
        case 'h':
            print_help();
            return 1;
        case 'v':
            puts("dockwake-engine " DOCKWAKE_VERSION);
            return 1;
        default:
            return -EINVAL;
        }
    return optind < argc ? -EINVAL : 0;
}

/* The two sockets by their names, whatever their order; -1 for one that was not passed. */
static int take_sockets(int *ret_front, int *ret_admin) {
    char **names = NULL;
    int front = -1, admin = -1, n = sd_listen_fds_with_names(1, &names), r = 0;

    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;

        bool listens = sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0;

        if (listens && strcmp(names[i], "front") == 0 && front < 0)
            front = fd;
        else if (listens && strcmp(names[i], "admin") == 0 && admin < 0)
            admin = fd;
        else
            r = -EPROTOTYPE;
        free(names[i]);
    }
    free(names);
    if (n < 0)
        return n;
    if (r < 0 || n == 0)
        return r < 0 ? r : -ENOTCONN;
    *ret_front = front;
    *ret_admin = admin;
    return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
    (void)source;
    (void)info;
    sd_notify(false, "RELOADING=1");
    engine_reload(userdata);
    sd_notify(false, "READY=1");
    return 0;
}

static int watch_signals(sd_event *event, struct engine *engine) {
    sigset_t mask;
    int r;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL); /* ends the loop with 0 */
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, engine);
    return r;
}

/* The configuration can still be read, for reloads, and the marker be set. */
static int give_up_files(const struct options *options) {
    char marker[PATH_MAX];
    int r;

    if (snprintf(marker, sizeof(marker), "%s", options->marker) >= (int)sizeof(marker))
        return -ENAMETOOLONG;
    r = sandbox_keep_config(options->config_dir, dirname(marker));
    if (r == -EOPNOTSUPP)
        log_notice("Landlock is not to be had: the file system stays in reach");
    return r == -EOPNOTSUPP ? 0 : r;
}

static int run(const struct options *options) {
    char file[4096], apps[4096];
    struct config_paths paths;
    struct engine *engine = NULL;
    sd_event *event = NULL;
    int front = -1, admin = -1, r;

    r = take_sockets(&front, &admin);
    if (r < 0) {
        log_error("needs the sockets 'front' and 'admin' from systemd: %s", strerror(-r));
        return r;
    }
    r = config_paths_init(options->config_dir, file, apps, &paths);
    if (r >= 0)
        r = sd_event_default(&event);
    if (r >= 0)
        r = engine_new(event, &paths, options->marker, &engine);
    if (r >= 0)
        r = watch_signals(event, engine);
    if (r >= 0)
        r = sd_event_set_watchdog(event, true);
    if (r >= 0)
        r = give_up_files(options);
    if (r >= 0)
        r = engine_serve(engine, front, admin);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
    } else {
        sd_notify(false, "READY=1");
        r = sd_event_loop(event);
        if (r < 0)
            log_error("event loop: %s", strerror(-r));
        sd_notify(false, "STOPPING=1");
    }
    engine_free(engine);
    sd_event_unref(event);
    return r;
}

int main(int argc, char **argv) {
    struct options options = {.marker = MARKER};
    int r = parse_options(argc, argv, &options);

    if (r != 0)
        return r < 0 ? 2 : EXIT_SUCCESS;
    log_init("dockwake-engine", options.debug);
    /* Plain HTTP is all that is spoken: no TLS library has to be set up for it. */
    if (curl_global_init(CURL_GLOBAL_NOTHING) != 0) {
        log_error("libcurl cannot be initialized");
        return EXIT_FAILURE;
    }
    r = run(&options);
    curl_global_cleanup();
    return r < 0 ? EXIT_FAILURE : r;
}
