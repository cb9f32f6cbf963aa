/* main.c - `dockwake COMMAND`: finds the subcommand and its options. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "proto.h"
#include "util.h"

enum argument { NO_APP, MAY_APP, MUST_APP };
enum { OPTION_JSON = 1 << 0, OPTION_WAIT = 1 << 1, OPTION_CONFIG_DIR = 1 << 2 };

struct command {
    const char *name;
    enum argument argument;
    unsigned options; /* OPTION_* */
    int (*run)(const struct cli_options *options);
    const char *arguments; /* as in the usage */
    const char *summary;
    const char *help;
};

static const struct command commands[] = {
    {"list", NO_APP, OPTION_JSON, cli_list, "[--json]", "show all apps in a table",
     "  --json            an array with an object for each app\n"},
    {"status", MAY_APP, OPTION_JSON, cli_status, "[APP] [--json]",
     "show one app in detail, or a summary of all",
     "  --json            an object; an array for a group or template\n"},
    {"wake", MUST_APP, OPTION_JSON | OPTION_WAIT, cli_wake, "APP [--wait] [--json]", "wake an app",
     "  --wait            until the app is ready or its start has failed\n"
     "  --json            the app as an object, or an array for a group, once, at the end\n"},
    {"sleep", MUST_APP, OPTION_JSON, cli_sleep, "APP [--json]", "put an app to sleep now",
     "  --json            the app as an object; an array for a group or template\n"},
    {"check", NO_APP, OPTION_JSON | OPTION_CONFIG_DIR, cli_check, "[--config-dir DIR] [--json]",
     "read the configuration and print all errors as FILE:LINE: TEXT",
     "  --config-dir DIR  read DIR/dockwake.conf and DIR/apps.d instead of the system's\n"
     "  --json            an object with the number of apps and an array of errors\n"},
};

enum { KEY_VERSION = 256, KEY_SOCKET, KEY_JSON, KEY_WAIT, KEY_CONFIG_DIR };

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, KEY_VERSION},
    {"socket", required_argument, NULL, KEY_SOCKET},
    {"json", no_argument, NULL, KEY_JSON},
    {"wait", no_argument, NULL, KEY_WAIT},
    {"config-dir", required_argument, NULL, KEY_CONFIG_DIR},
    {NULL, 0, NULL, 0},
};

static void print_common_help(void) {
    printf("  --socket PATH     the engine's socket (default: " PROTO_ADMIN_SOCKET ")\n"
           "  -h, --help        this help\n"
           "\n"
           "Exit status:\n"
           "  %d  all went well\n"
           "  %d  it failed: the configuration has errors, the app did not wake\n"
           "  %d  the command line is wrong\n"
           "  %d  the engine cannot be reached\n"
           "  %d  there is no such app\n",
           CLI_OK, CLI_FAILED, CLI_USAGE, CLI_NO_ENGINE, CLI_NO_SUCH_APP);
}

static void print_help(void) {
    printf("Usage: dockwake COMMAND [OPTION...]\n\n"
           "Shows and moves the containers that sleep until somebody connects.\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        printf("  %-6s %-29s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    }
    printf("\n  --version         the version\n");
    print_common_help();
    printf("\n`dockwake COMMAND --help` tells more about one command.\n");
}

static void print_command_help(const struct command *command) {
    printf("Usage: dockwake %s %s\n\n%s: %s.\n\n%s", command->name, command->arguments,
           command->name, command->summary, command->help);
    print_common_help();
}

#define usage_error(format, ...)                                                                   \
    (cli_error(format " (see dockwake --help)", __VA_ARGS__), (int)CLI_USAGE)

/*
 * Reads options up to the first argument (command NULL) or all. Returns -1 to go on, or an exit
 * status.
 */
static int read_options(int argc, char *argv[], const struct command *command,
                        struct cli_options *options) {
    unsigned allowed = command != NULL ? command->options : 0;
    int key;

    optind = 0; /* glibc: start afresh */
    while ((key = getopt_long(argc, argv, command != NULL ? ":h" : "+:h", long_options, NULL)) >=
           0) {
        unsigned needed = key == KEY_JSON         ? OPTION_JSON
                          : key == KEY_WAIT       ? OPTION_WAIT
                          : key == KEY_CONFIG_DIR ? OPTION_CONFIG_DIR
                                                  : 0;

        if (key == ':') {
            return usage_error("%s needs an argument", argv[optind - 1]);
        }
        if (key == '?' || (needed & ~allowed) != 0) {
            return usage_error("option '%s' does not exist here", argv[optind - 1]);
        }
        if (key == 'h') {
            if (command != NULL) {
                print_command_help(command);
            } else {
                print_help();
            }
            return CLI_OK;
        }
        if (key == KEY_VERSION) {
            puts("dockwake " DOCKWAKE_VERSION);
            return CLI_OK;
        }
        if (key == KEY_SOCKET) {
            options->socket = optarg;
        } else if (key == KEY_CONFIG_DIR) {
            options->config_dir = optarg;
        }
        options->json = options->json || key == KEY_JSON;
        options->wait = options->wait || key == KEY_WAIT;
    }
    return -1;
}

static int run(int argc, char *argv[]) {
    struct cli_options options = {.socket = PROTO_ADMIN_SOCKET};
    const struct command *command = NULL;
    int r = read_options(argc, argv, NULL, &options);

    if (r >= 0) {
        return r;
    }
    if (optind == argc) {
        return usage_error("%s", "no command given");
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i].name, argv[optind]) == 0) {
            command = &commands[i];
        }
    }
    if (command == NULL) {
        return usage_error("unknown command '%s'", argv[optind]);
    }
    argc -= optind;
    argv += optind;
    r = read_options(argc, argv, command, &options);
    if (r >= 0) {
        return r;
    }
    if (optind < argc && command->argument != NO_APP) {
        options.app = argv[optind++];
    }
    if (optind < argc) {
        return usage_error("'%s' is one argument too many", argv[optind]);
    }
    if (options.app == NULL && command->argument == MUST_APP) {
        return usage_error("%s needs the name of an app", command->name);
    }
    return command->run(&options);
}

int main(int argc, char *argv[]) {
    int r = run(argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && r == CLI_OK) {
        cli_error("the output cannot be written");
        r = CLI_FAILED;
    }
    return r;
}
