/*
 * lease_logs.c - asks the engine for the last lines of a container's log.
 *
 * A reader is in the client's list from lease_logs() on until its end was told or it was cancelled.
 * Its serial is that of its LOGS; 0 while that was not sent, and again when the connection ended
 * before the answer did. Such readers are told by a task, so that nobody is called from within a
 * function that only wanted to send.
 */
#include <stdio.h>
#include <string.h>

#include "lease_internal.h"

static void reader_detach(struct lease_log_reader *reader) {
    TAILQ_REMOVE(&reader->client->readers, reader, link);
    reader->client = NULL;
}

static void run_lost(struct task *task) {
    struct lease_client *client = container_of(task, struct lease_client, readers_lost);
    struct lease_log_reader *reader = TAILQ_FIRST(&client->readers);

    while (reader != NULL) {
        if (reader->sent && reader->serial == 0) {
            reader_detach(reader);
            reader->end(reader, EIO);
            reader = TAILQ_FIRST(&client->readers); /* it may have done what it liked */
        } else {
            reader = TAILQ_NEXT(reader, link);
        }
    }
}

void lease_logs_init(struct lease_client *client) {
    TAILQ_INIT(&client->readers);
    client->readers_lost.run = run_lost;
}

void lease_logs_lost(struct lease_client *client) {
    struct lease_log_reader *reader;

    TAILQ_FOREACH (reader, &client->readers, link) {
        reader->sent = true;
        reader->serial = 0;
    }
    if (!TAILQ_EMPTY(&client->readers)) {
        loop_schedule(client->loop, &client->readers_lost);
    }
}

int lease_logs_send(struct lease_client *client) {
    struct lease_log_reader *reader;

    TAILQ_FOREACH (reader, &client->readers, link) {
        union proto_message message = {0};
        int r;

        if (reader->sent) {
            continue;
        }
        message.logs.serial = client->serial + 1;
        message.logs.lines = reader->lines;
        memcpy(message.logs.app, reader->app, sizeof(reader->app));
        r = proto_send(client->source.fd, PROTO_LOGS, &message);
        if (r < 0) {
            return r;
        }
        reader->serial = ++client->serial;
        reader->sent = true;
    }
    return 0;
}

void lease_logs_answer(struct lease_client *client, const union proto_message *message) {
    struct lease_log_reader *reader;

    TAILQ_FOREACH (reader, &client->readers, link) {
        if (reader->serial != 0 && reader->serial == message->log.serial) {
            break;
        }
    }
    if (reader == NULL) {
        return; /* cancelled meanwhile */
    }
    if (message->header.opcode == PROTO_LOG) {
        reader->line(reader, message->log.text);
        return;
    }
    reader_detach(reader);
    reader->end(reader, (int)(message->logs_end.result & 0x7fffffff));
}

_Static_assert(offsetof(struct proto_log, serial) == offsetof(struct proto_logs_end, serial),
               "lease_logs_answer() reads the serial before it looks at the opcode");

int lease_logs(struct lease_client *client, const char *name, unsigned lines,
               struct lease_log_reader *reader) {
    lease_client_connect(client);
    if (client->source.fd < 0) {
        return -EBUSY;
    }
    reader->client = client;
    reader->lines = lines < PROTO_LINES_MAX ? lines : PROTO_LINES_MAX;
    reader->serial = 0;
    reader->sent = false;
    snprintf(reader->app, sizeof(reader->app), "%s", name);
    TAILQ_INSERT_TAIL(&client->readers, reader, link);
    lease_client_flush(client);
    return 0;
}

void lease_logs_cancel(struct lease_log_reader *reader) {
    if (reader->client != NULL) {
        reader_detach(reader);
    }
}
