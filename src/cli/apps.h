/* apps.h - what the engine says about apps: all of them, one, or those of a group or template. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"
#include "proto.h"

struct apps {
    size_t n, allocated;
    struct proto_app *items;
};

/*
 * Asks the engine: LIST, STATUS or SLEEP. Returns an exit status; only CLI_OK fills ret_apps
 * (apps_done). A template of which no instance is awake has none.
 */
int apps_get(const struct cli_options *options, enum proto_opcode opcode, struct apps *ret_apps);
/* Adds one, or renews what is known of it. Returns 0 or -ENOMEM. */
int apps_put(struct apps *apps, const struct proto_app *app);
void apps_done(struct apps *apps);

/* Whether they are what options->app names by itself, and not its instances. */
bool apps_are_one(const struct apps *apps, const struct cli_options *options);

/* An object for one, otherwise an array. Returns an exit status. */
int apps_print_json(const struct apps *apps, const struct cli_options *options);
/* "NAME: STATE" for each. */
void apps_print_states(struct apps *apps, const struct cli_options *options);
/* Says that there are none. */
void apps_print_none(const struct cli_options *options);
