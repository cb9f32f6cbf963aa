/* log_lines.c - see log_lines.h. */
#include "log_lines.h"

#include <string.h>

#include "util.h"

enum { STREAM_STDERR = 2 }; /* 0 and 1 are what was typed in and the standard output */

void log_parser_init(struct log_parser *parser, bool framed) {
    *parser = (struct log_parser){.framed = framed};
}

/* The header is whole. */
static bool frame_begin(struct log_parser *parser) {
    const unsigned char *h = parser->header;

    if (h[0] > STREAM_STDERR || h[1] || h[2] || h[3])
        return false;
    parser->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    return true;
}

static void buffer_add(struct log_buffer *buffer, const char *data, size_t size) {
    buffer->begun = buffer->begun || size > 0;
    for (size_t i = 0; i < size && buffer->n < sizeof(buffer->text) - 1; i++)
        if (data[i] != '\0')
            buffer->text[buffer->n++] = data[i];
}

static void buffer_take(struct log_parser *parser, size_t which, struct log_line *ret_line) {
    struct log_buffer *buffer = &parser->buffers[which];

    if (buffer->n > 0 && buffer->text[buffer->n - 1] == '\r')
        buffer->n--;
    buffer->text[buffer->n] = '\0';
    buffer->n = 0;
    buffer->begun = false;
    *ret_line = (struct log_line){.is_error = which == 1, .text = buffer->text};
}

enum log_result log_parser_next(struct log_parser *parser, const char **data, size_t *size,
                                struct log_line *ret_line) {
    while (*size > 0) {
        size_t which = parser->framed && parser->header[0] == STREAM_STDERR, part = *size;
        const char *newline;

        if (parser->framed && parser->left == 0) {
            if (parser->n_header == LOG_HEADER_SIZE)
                parser->n_header = 0; /* the frame before this one has ended */
            parser->header[parser->n_header++] = (unsigned char)*(*data)++;
            (*size)--;
            if (parser->n_header == LOG_HEADER_SIZE && !frame_begin(parser))
                return LOG_BAD;
            continue;
        }
        if (parser->framed && part > parser->left)
            part = parser->left;
        newline = memchr(*data, '\n', part);
        if (newline)
            part = (size_t)(newline - *data);
        buffer_add(&parser->buffers[which], *data, part);
        part += newline != NULL;
        *data += part;
        *size -= part;
        if (parser->framed)
            parser->left -= (uint32_t)part;
        if (newline) {
            buffer_take(parser, which, ret_line);
            return LOG_LINE;
        }
    }
    return LOG_PARTIAL;
}

enum log_result log_parser_end(struct log_parser *parser, struct log_line *ret_line) {
    for (size_t i = 0; i < ARRAY_SIZE(parser->buffers); i++)
        if (parser->buffers[i].begun) {
            buffer_take(parser, i, ret_line);
            return LOG_LINE;
        }
    return parser->left > 0 || parser->n_header % LOG_HEADER_SIZE != 0 ? LOG_BAD : LOG_PARTIAL;
}
