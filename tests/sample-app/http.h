/* http.h - one HTTP request of the sample app, for the files that answer it. */
#pragma once

#include "sample.h"

enum { TRAILERS_MAX = 2048 };

#define CHUNKED UINT64_MAX

/* One request. Its body is read on while the answer is written. */
struct request {
    struct stream *stream;
    char method[16];
    char path[LINE_MAX_BYTES]; /* without the query */
    char query[256];
    char key[64];      /* Sec-WebSocket-Key */
    char protocol[64]; /* Upgrade */
    char *head;        /* the request line and the header fields, a line each */
    size_t head_length;
    bool keep;                   /* the connection can take another request */
    bool expect;                 /* the client waits for 100 Continue */
    uint64_t body;               /* bytes of the body still to come, or of its present chunk */
    char trailers[TRAILERS_MAX]; /* of a chunked body, with CR LF, once body_done */
    bool chunked;
    bool body_done;
};

/* --- http.c ------------------------------------------------------------------------------------ */

/* Asks for the body, where the client waits to be asked. */
bool body_begin(struct request *request);
/* As stream_read(): 0 at the end of the body. */
ptrdiff_t body_read(struct request *request, void *ret_data, size_t size);

/* length: of the body that follows, or CHUNKED. fields: more of them, each with CR LF; "". */
bool answer_head(struct request *request, const char *status, uint64_t length, const char *fields);
/* Nothing for HEAD. */
bool answer_body(struct request *request, const void *data, size_t size);
/* Bytes as one chunk. */
bool answer_chunk(struct request *request, const void *data, size_t size);
/* A whole answer. */
bool answer(struct request *request, const char *status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- paths.c ----------------------------------------------------------------------------------- */

/* Answers. False: the connection is over. */
bool serve_path(struct request *request);
