/*
 * main.c - the sample app's settings, listeners, life and death.
 *
 * It is PID 1 of its container, where a signal without a handler does nothing: SIGTERM has one, and
 * ends the program at once, or after STOP_DELAY. What is not handled by a thread of a connection is
 * done by the main thread, which polls the listeners and the eventfd on which a thread that ends
 * tells so, since IDLE counts from there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"

enum { STACK_SIZE = 256 * 1024, LISTENERS = 2, BACKLOG = 4096, ECHO_BUFFER = 65536 };

struct settings settings;

static struct timespec began;
static atomic_uint connections;
static unsigned accepted;
static int ended_fd = -1; /* counts the connections that have ended */

uint64_t uptime_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000);
}

void sleep_ms(uint64_t ms) {
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static const char *text_setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static unsigned setting(const char *name, unsigned otherwise) {
    const char *value = text_setting(name, NULL);

    return value != NULL ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static void settings_load(void) {
    settings = (struct settings){
        .name = text_setting("NAME", "sample-app"),
        .log = text_setting("LOG", NULL),
        .tcp_greeting = text_setting("TCP_GREETING", NULL),
        .port = setting("PORT", 8080),
        .tcp_port = setting("TCP_PORT", 0),
        .start_delay = setting("START_DELAY", 0),
        .health_delay = setting("HEALTH_DELAY", 0),
        .exit_after = setting("EXIT_AFTER", 0),
        .exit_status = setting("EXIT_STATUS", 0),
        .stop_delay = setting("STOP_DELAY", 0),
        .idle = setting("IDLE", 0),
        .never = setting("NEVER", 0) != 0,
    };
}

/* --- signals ----------------------------------------------------------------------------------- */

static void in_ms(int which, unsigned ms) {
    struct itimerval timer = {.it_value.tv_sec = ms / 1000};

    timer.it_value.tv_usec = (suseconds_t)(ms % 1000) * 1000;
    /* POSIX does not promise it for signal handlers; on Linux it is a bare system call. */
    setitimer(which, &timer, NULL); /* NOLINT(bugprone-signal-handler,cert-sig30-c) */
}

static void on_stopped(int number) {
    (void)number;
    _exit(0);
}

static void on_stop(int number) {
    if (settings.stop_delay == 0)
        on_stopped(number);
    signal(SIGALRM, on_stopped);
    in_ms(ITIMER_REAL, settings.stop_delay);
}

static void on_exit_after(int number) {
    (void)number;
    _exit((int)settings.exit_status);
}

/* --- connections ------------------------------------------------------------------------------- */

struct job {
    void (*serve)(struct stream *);
    struct stream stream;
};

void echo_serve(struct stream *stream) {
    const char *greeting = settings.tcp_greeting;
    char *data = malloc(ECHO_BUFFER);
    ptrdiff_t n;

    if (data == NULL || (greeting != NULL && !stream_write(stream, greeting, strlen(greeting)))) {
        free(data);
        return;
    }
    while ((n = stream_read(stream, data, ECHO_BUFFER)) > 0)
        if (!stream_write(stream, data, (size_t)n))
            break;
    free(data);
}

static void *job_run(void *argument) {
    struct job *job = argument;
    uint64_t one = 1;

    job->serve(&job->stream);
    close(job->stream.fd);
    free(job);
    atomic_fetch_sub(&connections, 1);
    if (write(ended_fd, &one, sizeof(one)) < 0)
        perror("eventfd");
    return NULL;
}

static void take_connection(int listener, void (*serve)(struct stream *)) {
    struct job *job = malloc(sizeof(*job));
    pthread_attr_t attributes;
    pthread_t thread;
    int one = 1;

    if (job == NULL)
        fail("malloc");
    job->serve = serve;
    job->stream.begin = job->stream.end = 0;
    job->stream.requests = 0;
    job->stream.peer[0] = '\0';
    job->stream.fd = accept(listener, NULL, NULL);
    if (job->stream.fd < 0) {
        free(job);
        return;
    }
    job->stream.number = ++accepted;
    setsockopt(job->stream.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    atomic_fetch_add(&connections, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    errno = pthread_create(&thread, &attributes, job_run, job);
    if (errno != 0)
        fail("pthread_create");
    pthread_attr_destroy(&attributes);
}

static int open_listener(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
        fail("listen");
    return fd;
}

static void serve_all(void) {
    struct pollfd fds[LISTENERS + 1] = {
        {.fd = open_listener(settings.port), .events = POLLIN},
        {.fd = settings.tcp_port != 0 ? open_listener(settings.tcp_port) : -1, .events = POLLIN},
        {.fd = ended_fd, .events = POLLIN},
    };

    printf("%s listens on port %u\n", settings.name, settings.port);
    fflush(stdout);
    for (;;) {
        bool idle = settings.idle > 0 && atomic_load(&connections) == 0;
        int n = poll(fds, LISTENERS + 1, idle ? (int)settings.idle * 1000 : -1);
        uint64_t ended;

        if (n < 0 && errno != EINTR)
            fail("poll");
        if (n == 0)
            return;
        if (n < 0)
            continue;
        if (fds[0].revents != 0)
            take_connection(fds[0].fd, http_serve);
        if (fds[1].revents != 0)
            take_connection(fds[1].fd, echo_serve);
        if (fds[2].revents != 0 && read(ended_fd, &ended, sizeof(ended)) < 0)
            fail("eventfd");
    }
}

/* --- the program ------------------------------------------------------------------------------- */

int probe(const char *path) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)settings.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct stream stream = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    char line[LINE_MAX_BYTES];
    unsigned long status;
    int length = snprintf(line, sizeof(line),
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);

    if (stream.fd < 0 || connect(stream.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        length < 0 || (size_t)length >= sizeof(line) ||
        !stream_write(&stream, line, (size_t)length) ||
        !stream_read_line(&stream, line, sizeof(line)) || strncmp(line, "HTTP/1.1 ", 9) != 0)
        return 1;
    status = strtoul(line + 9, NULL, 10);
    return status >= 200 && status < 400 ? 0 : 1;
}

int main(int argc, char **argv) {
    struct rlimit files;

    clock_gettime(CLOCK_MONOTONIC, &began);
    settings_load();
    if (argc == 3 && strcmp(argv[1], "probe") == 0)
        return probe(argv[2]);
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    signal(SIGPIPE, SIG_IGN);
    if (settings.exit_after > 0) {
        signal(SIGALRM, on_exit_after);
        in_ms(ITIMER_REAL, settings.exit_after);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    ended_fd = eventfd(0, 0);
    if (ended_fd < 0)
        fail("eventfd");
    if (settings.log != NULL) {
        puts(settings.log);
        fflush(stdout);
    }
    while (settings.never)
        pause();
    sleep_ms(settings.start_delay);
    serve_all();
    return 0;
}
