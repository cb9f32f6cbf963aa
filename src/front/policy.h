/*
 * policy.h - who may wake an app ([wake] of its file), and what a waiting client is given.
 *
 * Pure. Asked before any wake; an app that is awake is open to everybody.
 */
#pragma once

#include "config.h"
#include "http_head.h"

enum policy_rule {
    POLICY_NONE, /* nothing speaks against it */
    POLICY_ALLOW_FROM,
    POLICY_DENY_FROM,
    POLICY_METHODS,
    POLICY_USER_AGENT,
    POLICY_PATH,
    POLICY_RATE, /* never from policy_judge(): who counts is the caller */
};

/*
 * The first rule that forbids this client to wake the app, or POLICY_NONE. head is NULL for TCP and
 * TLS: then only addresses count. path is canonical.
 */
enum policy_rule policy_judge(const struct config_app *app, const struct proto_address *client,
                              const char *data, const struct http_head *head, const char *path,
                              size_t path_len);

/* The key's name as in the file; "none". */
const char *policy_rule_name(enum policy_rule rule);

/*
 * Whether the request is a person's who looks at a page: a GET of a document. Sec-Fetch-Mode and
 * -Dest decide where they are given, else text/html in Accept.
 */
bool policy_is_navigation(const char *data, const struct http_head *head);
