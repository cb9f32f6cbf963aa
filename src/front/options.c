/* options.c - see options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "proto.h"

static const char usage[] =
    "Usage: dockwake-front [OPTION]...\n"
    "\n"
    "Takes listening sockets or connections from systemd, or one on standard input from\n"
    "inetd, and hands each connection to its app, which is woken when it sleeps.\n"
    "\n"
    "  --config-dir DIR      read DIR/dockwake.conf and DIR/apps.d instead of /etc/dockwake\n"
    "  --engine-socket PATH  where the engine listens (" PROTO_FRONT_SOCKET ")\n"
    "  --debug               log more\n"
    "  --help                show this and exit\n"
    "  --version             show the version and exit\n";

int options_parse(int argc, char **argv, struct options *ret_options) {
    enum { OPT_CONFIG_DIR = 256, OPT_ENGINE_SOCKET, OPT_DEBUG, OPT_HELP, OPT_VERSION };
    static const struct option known[] = {
        {"config-dir", required_argument, NULL, OPT_CONFIG_DIR},
        {"engine-socket", required_argument, NULL, OPT_ENGINE_SOCKET},
        {"debug", no_argument, NULL, OPT_DEBUG},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {0},
    };
    int c;

    *ret_options = (struct options){.engine_socket = PROTO_FRONT_SOCKET};
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case OPT_CONFIG_DIR:
            ret_options->config_dir = optarg;
            break;
        case OPT_ENGINE_SOCKET:
            ret_options->engine_socket = optarg;
            break;
        case OPT_DEBUG:
            ret_options->debug = true;
            break;
        case OPT_HELP:
            fputs(usage, stdout);
            return 1;
        case OPT_VERSION:
            puts("dockwake-front " DOCKWAKE_VERSION);
            return 1;
        default:
            fputs(usage, stderr);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return -EINVAL;
    }
    return 0;
}
