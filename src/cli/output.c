/* output.c - see output.h. */
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { COLUMNS = 7, CELL_MAX = PROTO_TEXT_MAX };

void output_span(usec_t span, char ret_text[static OUTPUT_SPAN_MAX]) {
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    uint64_t seconds = span / USEC_PER_SEC;

    if (seconds == 0) {
        snprintf(ret_text, OUTPUT_SPAN_MAX, "%ums", (unsigned)(span / USEC_PER_MSEC));
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t n = seconds / units[i].seconds;

        if (n > 0) {
            uint64_t rest = seconds % units[i].seconds;
            int len = snprintf(ret_text, OUTPUT_SPAN_MAX, "%" PRIu64 "%s", n, units[i].name);

            if (i + 1 < ARRAY_SIZE(units) && rest / units[i + 1].seconds > 0) {
                snprintf(ret_text + len, OUTPUT_SPAN_MAX - (size_t)len, " %" PRIu64 "%s",
                         rest / units[i + 1].seconds, units[i + 1].name);
            }
            return;
        }
    }
}

void output_time(uint64_t realtime_usec, char ret_text[static OUTPUT_TIME_MAX]) {
    time_t seconds = (time_t)(realtime_usec / USEC_PER_SEC);
    struct tm tm;

    if (realtime_usec == 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
        strftime(ret_text, OUTPUT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        memcpy(ret_text, "-", 2);
    }
}

char *output_clean(char *text) {
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
    return text;
}

json_t *output_text_json(const char *text) {
    json_t *json = json_string(text);
    auto_free char *copy = NULL;

    if (json == NULL && (copy = strdup(text)) != NULL) {
        for (char *p = copy; *p != '\0'; p++) {
            if ((unsigned char)*p >= 0x80) {
                *p = '?';
            }
        }
        json = json_string(copy);
    }
    return json;
}

static json_t *json_seconds(uint64_t usec) {
    uint64_t msec = usec / USEC_PER_MSEC; /* more digits say nothing */

    return json_real((double)msec / 1000);
}

json_t *output_app_json(const struct proto_app *app) {
    bool failed = app->failure != PROTO_FAILURE_NONE;
    char since[OUTPUT_TIME_MAX];
    char address[PROTO_ADDRESS_TEXT_MAX];

    output_time(app->since_usec, since);
    proto_address_format(&app->address, address);
    return json_pack(
        "{s:o, s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "app", output_text_json(app->app),
        "container", output_text_json(app->container), "state",
        proto_state_name((enum proto_state)app->state), "since",
        strcmp(since, "-") != 0 ? json_string(since) : json_null(), "leases",
        (json_int_t)app->leases, "address",
        strcmp(address, "-") != 0 ? json_string(address) : json_null(), "sleeps_in_seconds",
        app->sleep_usec != UINT64_MAX ? json_seconds(app->sleep_usec) : json_null(),
        "last_wake_seconds", app->wake_usec != 0 ? json_seconds(app->wake_usec) : json_null(),
        "failure",
        failed ? json_string(proto_failure_name((enum proto_failure)app->failure)) : json_null(),
        "reason", failed || app->text[0] != '\0' ? output_text_json(app->text) : json_null());
}

int output_json(json_t *json) {
    int r = CLI_FAILED;

    if (json == NULL) {
        cli_error("out of memory");
    } else if (json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) == 0 &&
               putchar('\n') != EOF) {
        r = CLI_OK;
    } else {
        cli_error("the output cannot be written");
    }
    json_decref(json);
    return r;
}

/* How long ago, "-" when that is not known. */
static void ago(uint64_t since_usec, char ret_text[static OUTPUT_SPAN_MAX]) {
    if (since_usec == 0) {
        memcpy(ret_text, "-", 2);
    } else {
        output_span(usec_sub(now_usec(CLOCK_REALTIME), since_usec), ret_text);
    }
}

static void sleeps_in(uint64_t sleep_usec, char ret_text[static OUTPUT_SPAN_MAX]) {
    if (sleep_usec == UINT64_MAX) {
        memcpy(ret_text, "-", 2);
    } else {
        output_span(sleep_usec, ret_text);
    }
}

/* The cells of one line; NULL: of the headings. */
static void row(struct proto_app *app, char cells[static COLUMNS][CELL_MAX]) {
    static const char *const headings[COLUMNS] = {"APP",       "CONTAINER", "STATE",  "FOR",
                                                  "SLEEPS IN", "LEASES",    "ADDRESS"};

    if (app == NULL) {
        for (size_t i = 0; i < COLUMNS; i++) {
            snprintf(cells[i], CELL_MAX, "%s", headings[i]);
        }
        return;
    }
    snprintf(cells[0], CELL_MAX, "%s", output_clean(app->app));
    snprintf(cells[1], CELL_MAX, "%s", output_clean(app->container));
    snprintf(cells[2], CELL_MAX, "%s", proto_state_name((enum proto_state)app->state));
    ago(app->since_usec, cells[3]);
    sleeps_in(app->sleep_usec, cells[4]);
    snprintf(cells[5], CELL_MAX, "%" PRIu32, app->leases);
    proto_address_format(&app->address, cells[6]);
}

void output_table(struct proto_app *apps, size_t n) {
    char cells[COLUMNS][CELL_MAX];
    int widths[COLUMNS] = {0};

    /* Once to measure, once to print. The first line is that of the headings. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t line = 0; line <= n; line++) {
            row(line == 0 ? NULL : &apps[line - 1], cells);
            for (size_t i = 0; i < COLUMNS; i++) {
                int len = (int)strlen(cells[i]);

                if (pass == 0) {
                    widths[i] = len > widths[i] ? len : widths[i];
                } else if (i + 1 < COLUMNS) {
                    printf("%-*s  ", widths[i], cells[i]);
                } else {
                    puts(cells[i]);
                }
            }
        }
    }
}

void output_details(struct proto_app *app) {
    char time[OUTPUT_TIME_MAX];
    char span[OUTPUT_SPAN_MAX];
    char address[PROTO_ADDRESS_TEXT_MAX];

    printf("app:        %s\n", output_clean(app->app));
    printf("container:  %s\n", output_clean(app->container));
    printf("state:      %s", proto_state_name((enum proto_state)app->state));
    if (app->since_usec != 0) {
        output_time(app->since_usec, time);
        ago(app->since_usec, span);
        printf(" since %s (%s ago)", time, span);
    }
    proto_address_format(&app->address, address);
    printf("\naddress:    %s\n", address);
    printf("leases:     %" PRIu32 "\n", app->leases);
    sleeps_in(app->sleep_usec, span);
    printf("sleeps in:  %s\n", span);
    if (app->wake_usec != 0) {
        output_span(app->wake_usec, span);
        printf("last wake:  took %s\n", span);
    }
    if (app->failure != PROTO_FAILURE_NONE) {
        printf("failure:    %s: %s\n", proto_failure_name((enum proto_failure)app->failure),
               output_clean(app->text));
    }
}
