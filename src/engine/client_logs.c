/*
 * client_logs.c - the logs that a front has asked for: which it may read, and sending them.
 *
 * A reading is there from LOGS until LOGS_END was sent. One that is refused is there too, as the
 * socket may be full.
 */
#include <stdio.h>
#include <string.h>

#include "client_internal.h"
#include "logs.h"

struct reading {
    struct client *client;
    struct logs *logs; /* NULL: refused */
    uint32_t serial;
    char name[PROTO_NAME_MAX];
    bool ended;
    uint32_t result; /* ended: a positive errno or 0 */
    size_t next;     /* the line to be sent */
    TAILQ_ENTRY(reading) in_client;
};

static void reading_free(struct reading *reading) {
    struct client *client = reading->client;

    TAILQ_REMOVE(&client->readings, reading, in_client);
    client->n_readings--;
    if (reading->logs)
        client->engine->n_logs--;
    logs_free(reading->logs);
    free(reading);
}

/* Returns whether all is on its way. */
static bool reading_send(struct reading *reading) {
    union proto_message message = {0};
    struct log_line line;

    memcpy(message.log.app, reading->name, sizeof(reading->name));
    message.log.serial = reading->serial;
    while (reading->logs && logs_line(reading->logs, reading->next, &line)) {
        message.log.is_error = line.is_error;
        snprintf(message.log.text, sizeof(message.log.text), "%s", line.text);
        if (!client_send(reading->client, PROTO_LOG, &message))
            return false;
        reading->next++;
    }
    memset(&message, 0, sizeof(message));
    memcpy(message.logs_end.app, reading->name, sizeof(reading->name));
    message.logs_end.serial = reading->serial;
    message.logs_end.result = reading->result;
    return client_send(reading->client, PROTO_LOGS_END, &message);
}

void client_logs_flush(struct client *client) {
    struct reading *reading, *next;

    for (reading = TAILQ_FIRST(&client->readings); reading; reading = next) {
        next = TAILQ_NEXT(reading, in_client);
        if (reading->ended && reading_send(reading))
            reading_free(reading);
    }
}

static void on_read(void *userdata) {
    struct reading *reading = userdata;

    reading->ended = true;
    reading->result = (uint32_t)logs_result(reading->logs);
    client_logs_flush(reading->client);
}

/* One that is being read already, for the same front. */
static bool reading_is_second(const struct reading *reading) {
    const struct reading *other;

    TAILQ_FOREACH (other, &reading->client->readings, in_client)
        if (other != reading && other->logs && strcmp(other->name, reading->name) == 0)
            return true;
    return false;
}

/* Of whom: the app, or what the instance would be that has not been made. */
static int reading_begin(struct reading *reading, unsigned lines) {
    struct engine *engine = reading->client->engine;
    const struct app *app = engine_find_app(engine, reading->name);
    const struct config_app *stem = table_stem(engine->config, reading->name), *config;
    struct config_app *own = NULL;
    int r = app ? 0 : table_check_instance(engine, reading->name);

    if (r == 0 && !app)
        r = config_instance_new(engine->config, reading->name, &own);
    config = app ? app->config : own;
    if (r < 0 || !config)
        return r == -ENOMEM ? r : -ENOENT;
    if (!config->show_logs || config->broken)
        r = -EPERM;
    else if (reading_is_second(reading) || engine->n_logs >= ENGINE_LOGS_MAX)
        r = -EBUSY;
    else
        r = logs_new(engine->docker, config->container,
                     stem && stem->is_template ? stem->name : NULL, lines, on_read, reading,
                     &reading->logs);
    if (reading->logs)
        engine->n_logs++;
    config_instance_free(own);
    return r;
}

int client_logs_ask(struct client *client, const struct proto_logs *request) {
    struct reading *reading;
    int r;

    if (request->lines == 0 || request->lines > PROTO_LINES_MAX)
        return -EBADMSG;
    if (client->n_readings >= CLIENT_LOGS_MAX)
        return -ENOBUFS;
    reading = calloc(1, sizeof(*reading));
    if (!reading)
        return -ENOMEM;
    reading->client = client;
    reading->serial = request->serial;
    memcpy(reading->name, request->app, sizeof(reading->name));
    TAILQ_INSERT_TAIL(&client->readings, reading, in_client);
    client->n_readings++;
    r = reading_begin(reading, request->lines);
    if (r < 0) {
        reading->ended = true;
        reading->result = (uint32_t)-r;
        client_logs_flush(client);
    }
    return 0;
}

void client_logs_done(struct client *client) {
    struct reading *reading;

    while ((reading = TAILQ_FIRST(&client->readings)))
        reading_free(reading);
}
