/*
 * front.h - the front as a process: its workers, its table, and when it leaves.
 *
 * The first worker runs in the thread that the process began with, and looks after signals and
 * reloads. The others are started once the first connection has been looked after, so that nobody
 * waits for them. All functions are for that first thread.
 */
#pragma once

#include "worker.h"

/* A stop of the service waits so long for open connections; the unit's TimeoutStopSec is longer. */
#define FRONT_STOP_TIMEOUT (30 * USEC_PER_SEC)

/* paths and engine_path are borrowed. Connects to the engine and reads the table. */
int front_new(const struct config_paths *paths, const char *engine_path, struct front **ret_front);
/* Drops whatever is still open. */
void front_free(struct front *front);

/* The first worker's loop: for what main() itself waits for, and for its first turn. */
struct loop *front_loop(struct front *front);

/*
 * Takes over a socket from systemd or inetd, listener or connection. Returns 0 or negative errno;
 * -EPROTOTYPE for one that is no stream socket, -ENOTCONN for a connection that has ended already.
 */
int front_add_socket(struct front *front, int fd);

/*
 * Starts the other workers: as many as [front] workers says, none for a front that was given
 * connections only. To be called once all sockets are in, and after a first turn of the loop when
 * somebody waits. From now on the front leaves when it is idle. Returns 0, or negative errno when not
 * all could be started: those that run serve.
 */
int front_start(struct front *front);

/* Serves until it is time to leave, and all workers have ended. Returns 0 or negative errno. */
int front_run(struct front *front);

/* Reads the table anew; an error leaves the old one in place. */
void front_reload(struct front *front);

/* Accepts no more and leaves after the last connection; the second time at once. */
void front_stop(struct front *front);
