/* http_speaker.c - see http_speaker.h. */
#include "http_speaker.h"

#include <arpa/inet.h>
#include <string.h>

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
static bool parse_node(const char *text, size_t len, struct proto_address *ret_address) {
    struct proto_address address = {0};
    char copy[INET6_ADDRSTRLEN + sizeof("[]:65535")];
    const char *ip = copy;
    char *end;

    if (len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (copy[0] == '[') {
        end = strchr(copy, ']');
        ip = copy + 1;
    } else {
        end = strchr(copy, ':');
        if (end != NULL && strchr(end + 1, ':') != NULL) {
            end = copy + len;
        }
    }
    if (end != NULL) {
        *end = '\0';
    } else if (copy[0] == '[') {
        return false;
    }
    address.family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(address.family, ip, address.ip) != 1) {
        return false;
    }
    *ret_address = address;
    return true;
}

/*
 * Goes through one X-Forwarded-For from its end, which the nearest proxy has written, as long as
 * those named are trusted themselves. Returns whether the field before it may be believed too.
 */
static bool follow_field(const struct config_nets *trusted, const char *text, size_t len,
                         struct proto_address *speaker) {
    while (len > 0) {
        size_t begin = len, end = len;
        struct proto_address named;

        while (begin > 0 && text[begin - 1] != ',') {
            begin--;
        }
        while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t')) {
            end--;
        }
        len = begin > 0 ? begin - 1 : 0;
        while (begin < end && (text[begin] == ' ' || text[begin] == '\t')) {
            begin++;
        }
        if (!parse_node(text + begin, end - begin, &named)) {
            return false;
        }
        *speaker = named;
        if (!config_nets_have(trusted, &named)) {
            return false;
        }
    }
    return true;
}

void http_speaker_find(const char *data, const struct http_head *head,
                       const struct config_nets *trusted, struct proto_address *speaker) {
    for (size_t i = head->n_fields; i-- > 0;) {
        const struct http_field *field = &head->fields[i];

        /* With `_` for `-` it is none that a proxy writes. */
        if (field->kind == HTTP_FIELD_X_FORWARDED_FOR &&
            memchr(data + field->name.at, '_', field->name.len) == NULL &&
            !follow_field(trusted, data + field->value.at, field->value.len, speaker)) {
            return;
        }
    }
}
