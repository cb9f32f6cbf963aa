/* apps.h - what the engine says about all apps. */
#pragma once

#include <stddef.h>

#include "cli.h"
#include "proto.h"

struct apps {
    size_t n, allocated;
    struct proto_app *items;
};

/* Asks the engine. Returns an exit status; only CLI_OK fills ret_apps (apps_done). */
int apps_get(const struct cli_options *options, struct apps *ret_apps);
void apps_done(struct apps *apps);
