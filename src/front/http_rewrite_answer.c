/* http_rewrite_answer.c - see http_rewrite.h: answers. */
#include <errno.h>

#include "http_rewrite_out.h"

/* IMF-fixdate (RFC 9110 5.6.7) of seconds since 1970. */
static void put_date(struct http_out *out, uint64_t seconds) {
    static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Mar", "Apr", "May", "Jun", "Jul", "Aug",
                                     "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"};
    const uint64_t day = seconds / 86400, time = seconds % 86400;
    /* Days since the first of March of the year 0, in eras of 400 years, in years from March on:
     * then the day that a leap year has more is its last one. */
    const uint64_t since = day + 719468, in_era = since % 146097;
    const uint64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const uint64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const uint64_t month = (5 * in_year + 2) / 153; /* 0: March */

    http_put(out, "Date: ");
    http_put(out, days[day % 7]);
    http_put(out, ", ");
    http_put_number(out, in_year - (153 * month + 2) / 5 + 1, 2);
    http_put(out, " ");
    http_put(out, months[month]);
    http_put(out, " ");
    http_put_number(out, since / 146097 * 400 + year + (month >= 10 ? 1 : 0), 4);
    http_put(out, " ");
    http_put_number(out, time / 3600, 2);
    http_put(out, ":");
    http_put_number(out, time / 60 % 60, 2);
    http_put(out, ":");
    http_put_number(out, time % 60, 2);
    http_put(out, " GMT\r\n");
}

/* RFC 9110 7.8, 15.5.22: answers in which Upgrade says something to the client. */
static bool keeps_upgrade(const struct http_answer *answer) {
    return answer->upgrade || answer->code == 426;
}

static bool passes(const char *data, const struct http_answer *answer,
                   const struct http_field *field) {
    switch (field->kind) {
    case HTTP_FIELD_OTHER:
        return !http_is_option(data, answer->options, answer->n_options, field->name);
    case HTTP_FIELD_UPGRADE:
        return keeps_upgrade(answer);
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_HOP:
        return false;
    default:
        return true;
    }
}

static void put_connection(struct http_out *out, const struct http_answer *answer,
                           const struct http_return *to) {
    bool ends = answer->end == HTTP_END_CLOSE ||
                (answer->end == HTTP_END_CHUNKED && to->minor == 0) || !to->persistent;

    if (answer->upgrade) {
        http_put(out, "Connection: upgrade\r\n");
    } else if (answer->interim) {
        return;
    } else if (answer->code == 426) {
        http_put(out, ends ? "Connection: upgrade, close\r\n" : "Connection: upgrade\r\n");
    } else if (ends) {
        http_put(out, "Connection: close\r\n");
    } else if (to->minor == 0) {
        http_put(out, "Connection: keep-alive\r\n");
    }
}

static void put_framing(struct http_out *out, const struct http_answer *answer,
                        const struct http_return *to) {
    /* RFC 9110 8.6: with HEAD and 304 it tells of the answer to a GET; 1xx and 204 have none. */
    if (answer->end == HTTP_END_LENGTH || (answer->end == HTTP_END_NONE && answer->has_length &&
                                           answer->code >= 200 && answer->code != 204)) {
        http_put(out, "Content-Length: ");
        http_put_number(out, answer->content_length, 1);
        http_put(out, "\r\n");
    } else if (answer->end == HTTP_END_CHUNKED && to->minor > 0) {
        http_put(out, "Transfer-Encoding: chunked\r\n");
    }
}

ssize_t http_rewrite_answer(const char *data, const struct http_answer *answer,
                            const struct http_return *to, char *out, size_t room) {
    struct http_out writer = {.out = out};
    bool dated = answer->code < 200 || to->now <= 0;

    if (room < (size_t)answer->size + HTTP_REWRITE_GROWTH) {
        return -ENOBUFS;
    }
    http_put(&writer, "HTTP/1.1 ");
    http_put_number(&writer, answer->code, 3);
    http_put(&writer, " ");
    http_put_slice(&writer, data, answer->phrase);
    http_put(&writer, "\r\n");
    put_connection(&writer, answer, to);
    put_framing(&writer, answer, to);
    for (size_t i = 0; i < answer->n_fields; i++) {
        dated = dated || answer->fields[i].kind == HTTP_FIELD_DATE;
        if (passes(data, answer, &answer->fields[i])) {
            http_put_field(&writer, data, &answer->fields[i]);
        }
    }
    if (!dated) {
        put_date(&writer, (uint64_t)to->now);
    }
    http_put(&writer, "\r\n");
    return (ssize_t)writer.size;
}
