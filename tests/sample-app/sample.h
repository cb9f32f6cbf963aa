/*
 * sample.h - the sample app: a small static server for the containers of the tests.
 *
 * One thread for each connection, blocking, with a small stack: 1,000 clients at once are no
 * matter.
 *
 *     main.c    settings from the environment, listeners, life and death, `sample-app probe`
 *     stream.c  buffered reading and writing of one connection
 *     http.c    HTTP/1.1: heads, bodies, and which path is answered how
 *     http.h    the same for the files that answer
 *     paths.c   what the paths answer
 *     proxy.c   the PROXY header at a connection's start
 *     ws.c      WebSocket echo (RFC 6455)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_BUFFER = 16384, /* also the longest request head */
    LINE_MAX_BYTES = 8192,
    PEER_MAX = 256, /* what is told of a PROXY header, with its final NUL */
};

/* From the environment; times in milliseconds. */
struct settings {
    const char *name;         /* NAME: what the answers call it */
    const char *log;          /* LOG: a line that it writes first; NULL: none */
    const char *tcp_greeting; /* TCP_GREETING: what the echo port says first; NULL: nothing */
    unsigned port;            /* PORT: HTTP, default 8080 */
    unsigned tcp_port;        /* TCP_PORT: raw echo; 0: none */
    unsigned start_delay;     /* START_DELAY: before it listens */
    unsigned health_delay;    /* HEALTH_DELAY: /health says 503 so long after the start */
    unsigned exit_after;      /* EXIT_AFTER: ends by itself so long after the start; 0: never */
    unsigned exit_status;     /* EXIT_STATUS: with which status then */
    unsigned stop_delay;      /* STOP_DELAY: serves on so long after SIGTERM */
    unsigned idle;            /* IDLE, in seconds: ends with 0 so long after its last connection */
    bool never;               /* NEVER=1: never listens */
};

extern struct settings settings;

/* Milliseconds since the program began. */
uint64_t uptime_ms(void);
void sleep_ms(uint64_t ms);

/* One connection. */
struct stream {
    int fd;
    unsigned number;   /* the how manyeth connection it is, from 1 */
    unsigned requests; /* begun so far */
    char peer[PEER_MAX];
    size_t begin, end; /* what was received and not yet taken is buffer[begin..end) */
    char buffer[STREAM_BUFFER];
};

/* Up to size bytes, at least one. Returns their number, 0 at the end of the stream, -1 on error. */
ptrdiff_t stream_read(struct stream *stream, void *ret_data, size_t size);
/* Exactly size bytes; false when the stream ends before. */
bool stream_read_all(struct stream *stream, void *ret_data, size_t size);
/* A line of at most size - 1 bytes, without its LF or CR LF. False: too long, or the stream ended.
 */
bool stream_read_line(struct stream *stream, char *ret_line, size_t size);
/* Waits until there are size bytes, at most STREAM_BUFFER. Returns how many there are: fewer only at
 * the end of the stream. They stay to be read. */
size_t stream_peek(struct stream *stream, size_t size);
bool stream_write(struct stream *stream, const void *data, size_t size);

/*
 * Takes the header of the PROXY protocol, version 1 or 2, that the connection begins with, and puts
 * what it says into stream->peer; "none" when it begins with something else. False: a faulty one.
 */
bool proxy_read(struct stream *stream);

/* Serve one connection to its end; the caller closes it. */
void http_serve(struct stream *stream);
void echo_serve(struct stream *stream);
/* After the head of an upgrade request with this Sec-WebSocket-Key. */
void ws_serve(struct stream *stream, const char *key);

/* `sample-app probe PATH`: GET PATH from the own port. Returns 0 for a 2xx or 3xx, 1 otherwise. */
int probe(const char *path);
