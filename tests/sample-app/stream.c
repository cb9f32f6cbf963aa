/*
 * stream.c - buffered reading and writing of one blocking connection.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sample.h"

static ptrdiff_t receive(int fd, void *data, size_t size) {
    ssize_t n;

    do
        n = recv(fd, data, size, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

ptrdiff_t stream_read(struct stream *stream, void *ret_data, size_t size) {
    size_t have = stream->end - stream->begin;

    if (have == 0)
        return receive(stream->fd, ret_data, size);
    if (have > size)
        have = size;
    memcpy(ret_data, stream->buffer + stream->begin, have);
    stream->begin += have;
    return (ptrdiff_t)have;
}

size_t stream_peek(struct stream *stream, size_t size) {
    size_t have = stream->end - stream->begin;

    memmove(stream->buffer, stream->buffer + stream->begin, have);
    stream->begin = 0;
    stream->end = have;
    while (stream->end < size) {
        ptrdiff_t n =
            receive(stream->fd, stream->buffer + stream->end, sizeof(stream->buffer) - stream->end);

        if (n <= 0)
            break;
        stream->end += (size_t)n;
    }
    return stream->end;
}

bool stream_read_all(struct stream *stream, void *ret_data, size_t size) {
    char *at = ret_data;

    while (size > 0) {
        ptrdiff_t n = stream_read(stream, at, size);

        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

bool stream_read_line(struct stream *stream, char *ret_line, size_t size) {
    for (;;) {
        char *begin = stream->buffer + stream->begin;
        size_t have = stream->end - stream->begin;
        char *lf = memchr(begin, '\n', have);
        ptrdiff_t n;

        if (lf != NULL) {
            size_t length = (size_t)(lf - begin);

            stream->begin += length + 1;
            if (length > 0 && begin[length - 1] == '\r')
                length--;
            if (length >= size)
                return false;
            memcpy(ret_line, begin, length);
            ret_line[length] = '\0';
            return true;
        }
        memmove(stream->buffer, begin, have);
        stream->begin = 0;
        stream->end = have;
        if (have == sizeof(stream->buffer))
            return false;
        n = receive(stream->fd, stream->buffer + have, sizeof(stream->buffer) - have);
        if (n <= 0)
            return false;
        stream->end += (size_t)n;
    }
}

bool stream_write(struct stream *stream, const void *data, size_t size) {
    const char *at = data;

    while (size > 0) {
        ssize_t n = send(stream->fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}
