/*
 * tls_hello.h - the server name in a TLS ClientHello, without TLS.
 *
 * Pure. The ClientHello may be split over any number of records. Nothing is decrypted or changed;
 * it is looked at so far as to find server_name.
 *
 * Sources: RFC 8446 4.1.2, 5.1 (ClientHello, records), RFC 5246 7.4.1.2, RFC 6066 3 (server_name).
 */
#pragma once

#include "http_head.h"

enum {
    TLS_HELLO_MAX = 32768, /* bytes of a ClientHello with its records; bad beyond */
    TLS_NAME_MAX = 256,    /* of a server name with its final NUL */
    TLS_ALERT_SIZE = 7,
    TLS_HANDSHAKE_RECORD =
        0x16, /* the first byte of every TLS connection, and of no HTTP request */
};

/*
 * HTTP_COMPLETE: name is what the client asked for, "" when it named nobody. HTTP_BAD: this is no
 * ClientHello. HTTP_PARTIAL: more has to come.
 */
enum http_result tls_hello_parse(const char *data, size_t size, char ret_name[static TLS_NAME_MAX]);

/* The alert record that refuses a name that is not served (unrecognized_name, RFC 6066 3). */
void tls_alert_write(char out[static TLS_ALERT_SIZE]);
