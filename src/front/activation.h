/*
 * activation.h - the sockets that come from systemd or inetd, and what systemd is told.
 *
 * The two protocols are stable and documented for others to implement (sd_listen_fds(3),
 * sd_notify(3)). libsystemd is not used here because loading it and what it depends on takes as
 * long as the rest of the start, and a cold connection waits for that.
 */
#pragma once

enum { ACTIVATION_FIRST_FD = 3 };

/*
 * Takes the descriptors that systemd passes: close-on-exec from now on, and the environment forgets
 * them. Returns how many there are, from ACTIVATION_FIRST_FD on; 0: none were passed to this
 * process.
 */
int activation_take(void);

/*
 * The connection or listener that inetd (or StandardInput=socket) passes as standard input. It
 * moves away from there, and no log line goes to it. Returns the descriptor, or negative errno;
 * -ENOTSOCK: standard input is something else.
 */
int activation_take_stdin(void);

/* Sends assignments such as "READY=1" to systemd, if it wants to be told. */
void activation_notify(const char *assignments);
