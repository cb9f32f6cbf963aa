/*
 * log_lines.h - a container's output, as the Engine API sends it, line by line.
 *
 * Pure: no I/O, no allocation, no logging. Pieces of any size come in, whole lines go out. Without a
 * TTY the two streams come in frames: {stream, 0, 0, 0, size as 32 bits, big endian} and so many
 * bytes; a line may go over any number of them. With a TTY it is one stream of bytes.
 *
 * Source: Docker Engine API 1.41, ContainerAttach ("stream format") and ContainerLogs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"

enum log_result {
    LOG_LINE,    /* a line is complete */
    LOG_PARTIAL, /* all that there is was taken, and more has to come */
    LOG_BAD,     /* these are no frames */
};

enum { LOG_HEADER_SIZE = 8 };

struct log_parser {
    bool framed;
    unsigned char header[LOG_HEADER_SIZE]; /* of the frame, as far as it has come */
    size_t n_header;
    uint32_t left; /* bytes that the frame still has */
    /* Both streams' lines so far: at most PROTO_LINE_MAX - 1 bytes, the rest is cut off. */
    struct log_buffer {
        bool begun; /* something of the line has come, an empty one's frame not counted */
        size_t n;
        char text[PROTO_LINE_MAX];
    } buffers[2];
};

struct log_line {
    bool is_error;    /* from the standard error stream */
    const char *text; /* without its end (LF or CRLF) and without NULs; until the next call */
};

void log_parser_init(struct log_parser *parser, bool framed);

/* Takes what leads to the next line from the front of *data. */
enum log_result log_parser_next(struct log_parser *parser, const char **data, size_t *size,
                                struct log_line *ret_line);

/*
 * To be called at the end until it says something else than LOG_LINE: lines that have no end. Then
 * LOG_PARTIAL, or LOG_BAD when the last frame is not whole.
 */
enum log_result log_parser_end(struct log_parser *parser, struct log_line *ret_line);
