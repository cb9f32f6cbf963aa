/*
 * output.h - how apps look on a terminal and in JSON.
 *
 * The names of the JSON members are stable: scripts depend on them. A member that is not known is
 * null, never left out.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "util.h"

enum {
    OUTPUT_SPAN_MAX = 48, /* a span as text */
    OUTPUT_TIME_MAX = 32, /* a moment as text */
};

/* "350ms", "12s", "3min 5s", "2h 10min", "4d 3h": the two largest units, rounded down. */
void output_span(usec_t span, char ret_text[static OUTPUT_SPAN_MAX]);

/* RFC 3339 in UTC, whole seconds; "-" for 0, which means unknown, and for what no calendar holds.
 */
void output_time(uint64_t realtime_usec, char ret_text[static OUTPUT_TIME_MAX]);

/* The text with every control character replaced, in place. Returns text. */
char *output_clean(char *text);

/* A string, without what is not ASCII when it is not UTF-8. NULL when out of memory. */
json_t *output_text_json(const char *text);

/* NULL when out of memory. The caller owns it. */
json_t *output_app_json(const struct proto_app *app);

/* Prints the document and releases it. Returns an exit status; NULL is out of memory. */
int output_json(json_t *json);

/* A table with a line for each app, or the details of one. */
void output_table(struct proto_app *apps, size_t n);
void output_details(struct proto_app *app);
