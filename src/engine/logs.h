/*
 * logs.h - the last lines that a container wrote since its last start.
 *
 * The container is inspected (whether it may be read, its last start, its TTY), then
 * GET /containers/{id}/logs is read as it comes: lines are cut at PROTO_LINE_MAX, the last ones are
 * kept, and both the bytes and the time have a bound, so that a log without end costs no more than
 * one with.
 */
#pragma once

#include "docker.h"
#include "log_lines.h"

enum { LOGS_BYTES_MAX = 4 << 20 }; /* that are read of one log */
#define LOGS_TIMEOUT (10 * USEC_PER_SEC)
/*
 * Docker notes the start of a container after its program has begun: what that wrote first may be
 * older. What it wrote in its last moments before a quick restart is shown too.
 */
#define LOGS_MARGIN (1 * USEC_PER_SEC)

struct logs;

/*
 * Begins to read the last n lines, 1 .. PROTO_LINES_MAX. label: the container has to carry it as
 * DOCKER_LABEL; NULL: any may be read. The strings are copied. done() comes once, from the event
 * loop, and may free the logs. Returns 0 or negative errno.
 */
int logs_new(struct docker *docker, const char *container, const char *label, unsigned n,
             void (*done)(void *userdata), void *userdata, struct logs **ret_logs);
void logs_free(struct logs *logs);

/* After done(): 0, EPERM (another label), ENOENT (no container) or EIO (Docker). */
int logs_result(const struct logs *logs);
/* The i-th line, also of a log that broke off; false: there are no more. */
bool logs_line(const struct logs *logs, size_t i, struct log_line *ret_line);
