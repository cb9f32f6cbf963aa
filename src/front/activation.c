/* activation.c - see activation.h. */
#include "activation.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util.h"

/* The number in an environment variable, or -1. */
static long env_number(const char *name) {
    const char *text = getenv(name);
    char *end;
    long number;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return -1;
    }
    errno = 0;
    number = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : -1;
}

int activation_take(void) {
    long n = env_number("LISTEN_FDS");
    bool ours = env_number("LISTEN_PID") == (long)getpid();

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!ours || n <= 0 || n > INT_MAX - ACTIVATION_FIRST_FD) {
        return 0;
    }
    for (int fd = ACTIVATION_FIRST_FD; fd < ACTIVATION_FIRST_FD + (int)n; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            return fd - ACTIVATION_FIRST_FD; /* fewer were passed than promised */
        }
    }
    return (int)n;
}

int activation_take_stdin(void) {
    auto_close int fd = -1, null = -1;
    struct stat socket_stat, stat;

    if (fstat(STDIN_FILENO, &socket_stat) < 0) {
        return -errno;
    }
    if (!S_ISSOCK(socket_stat.st_mode)) {
        return -ENOTSOCK;
    }
    fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, ACTIVATION_FIRST_FD);
    if (fd < 0) {
        return -errno;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return -errno;
    }
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (fstat(i, &stat) == 0 && stat.st_dev == socket_stat.st_dev &&
            stat.st_ino == socket_stat.st_ino && dup2(null, i) < 0) {
            return -errno;
        }
    }
    return take_fd(&fd);
}

void activation_notify(const char *assignments) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    auto_close int fd = -1;
    size_t len;

    if (path == NULL || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    len = strlen(path);
    if (len >= sizeof(sa.sun_path)) {
        return;
    }
    memcpy(sa.sun_path, path, len);
    if (path[0] == '@') {
        sa.sun_path[0] = '\0';
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    /* systemd finds out by itself when this is lost: the start times out. */
    (void)!sendto(fd, assignments, strlen(assignments), MSG_NOSIGNAL, (const struct sockaddr *)&sa,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}
