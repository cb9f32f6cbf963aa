/*
 * tls_hello.c - see tls_hello.h.
 *
 * A ClientHello is vectors in vectors, each with its length before it, and lies in the fragments of
 * one record after another. Two things keep this simple. The cursor knows the records: who takes
 * bytes from it does not see where one ends. And each vector, when it is opened, is subtracted at
 * once from the one around it, so that nothing can be read beyond the end of any of them.
 *
 * The cursor remembers the first thing that went wrong; from then on it yields zeros and the loops
 * end. Bytes are judged in their order, so what is bad is bad with more bytes behind it too.
 */
#include "tls_hello.h"

#include <string.h>

enum {
    TYPE_ALERT = 0x15,
    MAJOR = 3, /* of every version from SSL 3.0 to TLS 1.3 */
    RECORD_MAX = 1 << 14,
    CLIENT_HELLO = 1,
    RANDOM_SIZE = 32,
    SESSION_ID_MAX = 32,
    SERVER_NAME = 0, /* the extension */
    HOST_NAME = 0,   /* the name's type in it */
    ALERT_FATAL = 2,
    ALERT_UNRECOGNIZED_NAME = 112,
};

struct cursor {
    const char *data;
    size_t size, at;
    size_t record;           /* bytes that are left of the record at at */
    enum http_result result; /* HTTP_COMPLETE: all is well so far */
};

static bool fine(const struct cursor *cursor) {
    return cursor->result == HTTP_COMPLETE;
}

static void bad(struct cursor *cursor) {
    if (fine(cursor)) {
        cursor->result = HTTP_BAD;
    }
}

static uint8_t take_raw(struct cursor *cursor) {
    if (cursor->at == TLS_HELLO_MAX) {
        bad(cursor);
    } else if (fine(cursor) && cursor->at == cursor->size) {
        cursor->result = HTTP_PARTIAL;
    }
    return fine(cursor) ? (uint8_t)cursor->data[cursor->at++] : 0;
}

static void expect_raw(struct cursor *cursor, uint8_t byte) {
    if (take_raw(cursor) != byte) {
        bad(cursor);
    }
}

/*
 * The header of the next record (RFC 8446 5.1). The minor version is of no meaning; a record
 * without content is allowed to none of this type.
 */
static void take_record(struct cursor *cursor) {
    expect_raw(cursor, TLS_HANDSHAKE_RECORD);
    expect_raw(cursor, MAJOR);
    take_raw(cursor);
    cursor->record = (size_t)take_raw(cursor) << 8;
    cursor->record |= take_raw(cursor);
    if (cursor->record == 0 || cursor->record > RECORD_MAX) {
        bad(cursor);
    }
}

/* A number of so many bytes, from a vector of which left bytes are left. */
static uint32_t take(struct cursor *cursor, unsigned bytes, uint32_t *left) {
    uint32_t number = 0;

    if (*left < bytes) {
        bad(cursor);
        return 0;
    }
    *left -= bytes;
    for (; bytes > 0 && fine(cursor); bytes--) {
        if (cursor->record == 0) {
            take_record(cursor);
        }
        number = number << 8 | take_raw(cursor);
        if (fine(cursor)) {
            cursor->record--;
        }
    }
    return fine(cursor) ? number : 0;
}

static void skip(struct cursor *cursor, uint32_t bytes, uint32_t *left) {
    while (bytes > 0 && fine(cursor)) {
        take(cursor, 1, left);
        bytes--;
    }
}

/* The length, of so many bytes, of a vector inside another; the outer one goes on behind it. */
static uint32_t open_vector(struct cursor *cursor, unsigned bytes, uint32_t *left) {
    uint32_t length = take(cursor, bytes, left);

    if (length > *left) {
        bad(cursor);
        return 0;
    }
    *left -= length;
    return length;
}

/* An A-label, an address, `_` as it is found in practice: whatever else is no name to route by. */
static bool in_host_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* The extension's content (RFC 6066 3): a list, in which there can be but one name of this type. */
static void take_name(struct cursor *cursor, uint32_t left, char name[static TLS_NAME_MAX]) {
    uint32_t list = open_vector(cursor, 2, &left), length;

    if (left > 0 || take(cursor, 1, &list) != HOST_NAME) {
        bad(cursor);
    }
    length = open_vector(cursor, 2, &list);
    if (list > 0 || length == 0 || length >= TLS_NAME_MAX) {
        bad(cursor);
    }
    for (uint32_t i = 0; length > 0 && fine(cursor); i++) {
        name[i] = (char)take(cursor, 1, &length);
        if (!in_host_name(name[i])) {
            bad(cursor);
        }
    }
}

static void take_extensions(struct cursor *cursor, uint32_t left, char name[static TLS_NAME_MAX]) {
    bool named = false;

    while (left > 0 && fine(cursor)) {
        uint32_t type = take(cursor, 2, &left), length = open_vector(cursor, 2, &left);

        if (!fine(cursor)) {
            return;
        }
        if (type != SERVER_NAME) {
            skip(cursor, length, &length);
        } else if (!named) {
            take_name(cursor, length, name);
            named = true;
        } else {
            bad(cursor);
        }
    }
}

enum http_result tls_hello_parse(const char *data, size_t size,
                                 char ret_name[static TLS_NAME_MAX]) {
    struct cursor cursor = {.data = data, .size = size, .result = HTTP_COMPLETE};
    uint32_t left = 4, length;
    char name[TLS_NAME_MAX] = "";

    if (take(&cursor, 1, &left) != CLIENT_HELLO) {
        bad(&cursor);
    }
    left = take(&cursor, 3, &left);
    if (left > TLS_HELLO_MAX || take(&cursor, 1, &left) != MAJOR) {
        bad(&cursor);
    }
    skip(&cursor, 1 + RANDOM_SIZE, &left);

    length = open_vector(&cursor, 1, &left); /* the session's id */
    if (length > SESSION_ID_MAX) {
        bad(&cursor);
    }
    skip(&cursor, length, &length);

    length = open_vector(&cursor, 2, &left); /* cipher suites of two bytes each */
    if (length == 0 || length % 2 != 0) {
        bad(&cursor);
    }
    skip(&cursor, length, &length);

    length = open_vector(&cursor, 1, &left); /* compression methods */
    if (length == 0) {
        bad(&cursor);
    }
    skip(&cursor, length, &length);

    /* A client before TLS 1.2 may have none (RFC 5246 7.4.1.2). */
    if (left > 0) {
        length = open_vector(&cursor, 2, &left);
        if (left > 0) {
            bad(&cursor);
        }
        take_extensions(&cursor, length, name);
    }
    /* The message that keys may change after ends with its record (RFC 8446 5.1). */
    if (cursor.record > 0) {
        bad(&cursor);
    }
    if (fine(&cursor)) {
        memcpy(ret_name, name, sizeof(name));
    }
    return cursor.result;
}

void tls_alert_write(char out[static TLS_ALERT_SIZE]) {
    static const char alert[TLS_ALERT_SIZE] = {
        TYPE_ALERT, MAJOR, 3, 0, 2, ALERT_FATAL, ALERT_UNRECOGNIZED_NAME,
    };

    memcpy(out, alert, sizeof(alert));
}
