/* logs.c - see logs.h. */
#include "logs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "docker_private.h"

struct logs {
    struct docker *docker;
    char *container;
    char *label; /* NULL: any */
    void (*done)(void *userdata);
    void *userdata;
    struct docker_call *call; /* in flight: the inspection, then the log */
    struct log_parser parser;
    size_t bytes; /* read so far */
    int result;
    size_t max, n; /* lines: kept at most, seen; the last max of them are kept, in a ring */
    struct kept {
        bool is_error;
        char text[PROTO_LINE_MAX];
    } lines[];
};

static void logs_end(struct logs *logs, int result) {
    logs->result = result;
    logs->done(logs->userdata);
}

static void keep(struct logs *logs, const struct log_line *line) {
    struct kept *kept = &logs->lines[logs->n++ % logs->max];

    kept->is_error = line->is_error;
    snprintf(kept->text, sizeof(kept->text), "%s", line->text);
}

static int on_piece(void *userdata, const char *data, size_t size) {
    struct logs *logs = userdata;
    struct log_line line;
    enum log_result r;

    logs->bytes += size;
    if (logs->bytes > LOGS_BYTES_MAX)
        return -EMSGSIZE;
    while ((r = log_parser_next(&logs->parser, &data, &size, &line)) == LOG_LINE)
        keep(logs, &line);
    return r == LOG_BAD ? -EBADMSG : 0;
}

static void on_log(void *userdata, const struct docker_result *result) {
    struct logs *logs = userdata;
    struct log_line line;
    enum log_result r;

    logs->call = NULL;
    while ((r = log_parser_end(&logs->parser, &line)) == LOG_LINE)
        keep(logs, &line);
    if (result->status == 404)
        logs_end(logs, ENOENT);
    else if (result->result < 0 || result->status != 200 || r == LOG_BAD)
        logs_end(logs, EIO);
    else
        logs_end(logs, 0);
}

static void on_inspected(void *userdata, const struct docker_result *result) {
    struct logs *logs = userdata;
    struct docker_container container;
    char path[DOCKER_NAME_MAX + 128];
    usec_t since;
    int r = -EIO;

    logs->call = NULL;
    if (result->result == 0 && result->status == 404) {
        logs_end(logs, ENOENT);
        return;
    }
    if (result->result == 0 && result->status == 200)
        r = docker_parse_inspect(result->body, result->size, NULL, 0, &container);
    if (r < 0) {
        logs_end(logs, EIO);
        return;
    }
    if (logs->label && strcmp(container.label, logs->label) != 0) {
        logs_end(logs, EPERM);
        return;
    }
    if (container.started == 0) { /* never */
        logs_end(logs, 0);
        return;
    }
    log_parser_init(&logs->parser, !container.tty);
    since = usec_sub(container.started, LOGS_MARGIN);
    snprintf(path, sizeof(path),
             "/containers/%s/logs?stdout=1&stderr=1&timestamps=0&tail=%zu&since=%" PRIu64
             ".%06" PRIu64,
             logs->container, logs->max, since / USEC_PER_SEC, since % USEC_PER_SEC);
    r = docker_call_start_full(logs->docker, "GET", path, LOGS_TIMEOUT, on_piece, on_log, logs,
                               &logs->call);
    if (r < 0)
        logs_end(logs, EIO);
}

int logs_new(struct docker *docker, const char *container, const char *label, unsigned n,
             void (*done)(void *userdata), void *userdata, struct logs **ret_logs) {
    struct logs *logs = calloc(1, sizeof(*logs) + n * sizeof(*logs->lines));
    char path[DOCKER_NAME_MAX + 64];
    int r = -ENOMEM;

    if (!logs)
        return -ENOMEM;
    logs->docker = docker;
    logs->max = n;
    logs->done = done;
    logs->userdata = userdata;
    logs->container = strdup(container);
    logs->label = label ? strdup(label) : NULL;
    if (logs->container && (logs->label || !label)) {
        snprintf(path, sizeof(path), "/containers/%s/json", container);
        r = docker_call_start(docker, "GET", path, DOCKER_QUERY_TIMEOUT, on_inspected, logs,
                              &logs->call);
    }
    if (r < 0) {
        logs_free(logs);
        return r;
    }
    *ret_logs = logs;
    return 0;
}

void logs_free(struct logs *logs) {
    if (!logs)
        return;
    docker_call_free(logs->call);
    free(logs->container);
    free(logs->label);
    free(logs);
}

int logs_result(const struct logs *logs) {
    return logs->result;
}

bool logs_line(const struct logs *logs, size_t i, struct log_line *ret_line) {
    size_t first = logs->n > logs->max ? logs->n - logs->max : 0;
    const struct kept *kept;

    if (first + i >= logs->n)
        return false;
    kept = &logs->lines[(first + i) % logs->max];
    *ret_line = (struct log_line){.is_error = kept->is_error, .text = kept->text};
    return true;
}
