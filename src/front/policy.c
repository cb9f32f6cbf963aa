/* policy.c - see policy.h. */
#include "policy.h"

#include <string.h>
#include <strings.h>

#include "http_fields.h"

static const char *const rule_names[] = {
    [POLICY_NONE] = "none",
    [POLICY_ALLOW_FROM] = "allow_from",
    [POLICY_DENY_FROM] = "deny_from",
    [POLICY_METHODS] = "methods",
    [POLICY_USER_AGENT] = "deny_user_agent",
    [POLICY_PATH] = "deny_path",
    [POLICY_RATE] = "rate",
};

_Static_assert(sizeof(rule_names) / sizeof(rule_names[0]) == POLICY_RATE + 1, "a name for each");

const char *policy_rule_name(enum policy_rule rule) {
    return rule_names[rule];
}

static bool has_method(const struct config_list_of *methods, const char *data,
                       struct http_slice method) {
    for (size_t i = 0; i < methods->n; i++) {
        if (strlen(methods->items[i]) == method.len &&
            memcmp(methods->items[i], data + method.at, method.len) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether part is somewhere in text, whatever the case. */
static bool contains(const char *text, size_t len, const char *part) {
    size_t part_len = strlen(part);

    for (size_t i = 0; i + part_len <= len; i++) {
        if (strncasecmp(text + i, part, part_len) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_agent(const struct config_list_of *parts, const char *data,
                      const struct http_head *head) {
    for (size_t i = 0; parts->n > 0 && i < head->n_fields; i++) {
        const struct http_field *field = &head->fields[i];

        for (size_t k = 0; field->kind == HTTP_FIELD_USER_AGENT && k < parts->n; k++) {
            if (contains(data + field->value.at, field->value.len, parts->items[k])) {
                return true;
            }
        }
    }
    return false;
}

/* "/app" fits "/app" and "/app/x", not "/apple"; "/" fits all. */
static bool is_below(const char *path, size_t path_len, const char *prefix) {
    size_t len = strlen(prefix);

    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    return path_len >= len && memcmp(path, prefix, len) == 0 &&
           (path_len == len || path[len] == '/');
}

static bool has_path(const struct config_list_of *prefixes, const char *path, size_t path_len) {
    for (size_t i = 0; i < prefixes->n; i++) {
        if (is_below(path, path_len, prefixes->items[i])) {
            return true;
        }
    }
    return false;
}

enum policy_rule policy_judge(const struct config_app *app, const struct proto_address *client,
                              const char *data, const struct http_head *head, const char *path,
                              size_t path_len) {
    if (config_nets_have(&app->deny_from, client)) {
        return POLICY_DENY_FROM;
    }
    if (app->allow_from.n > 0 && !config_nets_have(&app->allow_from, client)) {
        return POLICY_ALLOW_FROM;
    }
    if (head == NULL) {
        return POLICY_NONE;
    }
    if (app->methods.n > 0 && !has_method(&app->methods, data, head->method)) {
        return POLICY_METHODS;
    }
    if (has_path(&app->deny_path, path, path_len)) {
        return POLICY_PATH;
    }
    return has_agent(&app->deny_user_agent, data, head) ? POLICY_USER_AGENT : POLICY_NONE;
}

/* --- who looks at a page ----------------------------------------------------------------------- */

/* Takes what is in front of the next semicolon off *rest, without white space around it. */
static struct http_slice next_part(const char *data, struct http_slice *rest) {
    const char *end = rest->len > 0 ? memchr(data + rest->at, ';', rest->len) : NULL;
    uint32_t len = end != NULL ? (uint32_t)(end - (data + rest->at)) : rest->len;
    uint32_t skip = end != NULL ? len + 1 : len;
    struct http_slice part = {.at = rest->at, .len = len};

    rest->at += skip;
    rest->len -= skip;
    return http_trim(data, part);
}

/* A weight of nothing: "q=0", "q=0.0", up to three digits (RFC 9110 12.4.2). */
static bool is_unwanted(const char *data, struct http_slice part) {
    if (part.len < 3 || strncasecmp(data + part.at, "q=0", 3) != 0) {
        return false;
    }
    for (uint32_t i = 3; i < part.len; i++) {
        char c = data[part.at + i];

        if (c != '0' && !(c == '.' && i == 3)) {
            return false;
        }
    }
    return true;
}

/* Whether one element of Accept is text/html, and wanted. The first q is the weight. */
static bool wants_html(const char *data, struct http_slice element) {
    if (!http_slice_is(data, next_part(data, &element), "text/html")) {
        return false;
    }
    while (element.len > 0) {
        struct http_slice part = next_part(data, &element);

        if (part.len >= 2 && strncasecmp(data + part.at, "q=", 2) == 0) {
            return !is_unwanted(data, part);
        }
    }
    return true;
}

static bool accepts_html(const char *data, const struct http_head *head) {
    for (size_t i = 0; i < head->n_fields; i++) {
        struct http_slice rest = head->fields[i].value, element;

        while (head->fields[i].kind == HTTP_FIELD_ACCEPT && http_list_next(data, &rest, &element)) {
            if (wants_html(data, element)) {
                return true;
            }
        }
    }
    return false;
}

bool policy_is_navigation(const char *data, const struct http_head *head) {
    const struct http_field *mode = http_field_find(head, HTTP_FIELD_FETCH_MODE);
    const struct http_field *dest = http_field_find(head, HTTP_FIELD_FETCH_DEST);

    if (head->method.len != 3 || memcmp(data + head->method.at, "GET", 3) != 0) {
        return false;
    }
    if (mode == NULL && dest == NULL) {
        return accepts_html(data, head);
    }
    return (mode == NULL || http_slice_is(data, mode->value, "navigate")) &&
           (dest == NULL || http_slice_is(data, dest->value, "document"));
}
