/*
 * client.h - one request to the engine's admin socket, and its answers.
 *
 * Connecting starts the engine when it is not there: systemd holds the socket. Every wait has a
 * bound but that for the end of a wake: there the engine keeps the time (start_timeout).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"
#include "config.h"
#include "proto.h"
#include "util.h"

/* The bound from the request to the last answer. */
#define CLIENT_TIMEOUT (10 * USEC_PER_SEC)
/* APPs to one request; groups have several each. */
enum { CLIENT_ANSWERS_MAX = 4 * CONFIG_APPS_MAX };

/*
 * Called for each APP. Returns 0, or a negative errno that ends the request.
 */
typedef int (*client_app_fn)(void *userdata, const struct proto_app *app);

/*
 * Sends a request and calls on_app for each answer until END. opcode is LIST, STATUS, WAKE or
 * SLEEP; options->app and options->wait fill it in. Returns an exit status, and has said on
 * standard error why when that is not CLI_OK.
 */
int client_request(const struct cli_options *options, enum proto_opcode opcode,
                   client_app_fn on_app, void *userdata);
