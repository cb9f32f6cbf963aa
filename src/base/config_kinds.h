/*
 * config_kinds.h - the kinds of values that keys have.
 *
 * config_kinds.c has those that are numbers and words, config_texts.c those that are texts and lists
 * of them.
 */
#pragma once

#include "config_internal.h"

/* How much of a value an error repeats. */
#define CONFIG_CLIP     "%.80s"
#define CONFIG_CLIP_MAX 80

enum {
    CONFIG_TITLE_MAX = 200, /* bytes in [wait] title */
    CONFIG_TAKEN_MAX = CONFIG_VALUE_MAX + 1,
};

struct config_key;

/* A key with its value, and where it goes. */
struct config_setting {
    const struct config_key *key;
    void *member;
    struct config_app *app; /* NULL: no app's key */
    struct config_pages *pages;
    const char *value;
    enum config_scope scope;
    struct config_place *place;
};

/*
 * A text of len bytes, at most CONFIG_VALUE_MAX, in the form in which it is kept. Returns NULL, or
 * what is wrong with it: half a sentence that follows the text. Pure.
 */
typedef const char *config_take(const struct config_setting *s, const char *text, size_t len,
                                char ret_text[static CONFIG_TAKEN_MAX]);

struct config_key {
    const char *section, *name;
    enum config_object object;
    bool own; /* says which app it is: not allowed in [defaults] */
    size_t offset;
    int (*set)(const struct config_setting *s);
    uint64_t min, max;        /* numbers, inclusive; lists: words */
    const char *range;        /* the same in words */
    const char *const *words; /* config_set_word: in the order of the enum, NULL at the end */
    config_take *take;        /* texts and lists of them */
};

/* All keys. No two that may be in [defaults] have one name, as they go by their name alone there. */
extern const struct config_key config_keys[];
extern const size_t config_keys_n;

/* Each sets the member, or complains at place. They return 0 or -ENOMEM. */
int config_set_bool(const struct config_setting *s);
int config_set_span(const struct config_setting *s);
int config_set_size(const struct config_setting *s);
int config_set_count(const struct config_setting *s);
int config_set_workers(const struct config_setting *s);
int config_set_port(const struct config_setting *s);
int config_set_word(const struct config_setting *s);
int config_set_rate(const struct config_setting *s);
int config_set_address(const struct config_setting *s);
int config_set_expect(const struct config_setting *s);
int config_set_nets(const struct config_setting *s);
int config_set_page(const struct config_setting *s);

int config_set_text(const struct config_setting *s);
int config_set_list(const struct config_setting *s);  /* separated by commas and blanks */
int config_set_items(const struct config_setting *s); /* separated by commas */
int config_set_hosts(const struct config_setting *s);
int config_set_cookie(const struct config_setting *s);

config_take config_take_name, config_take_container, config_take_docker, config_take_host,
    config_take_sni, config_take_route_path, config_take_path, config_take_url_path,
    config_take_place, config_take_place_or_url, config_take_title, config_take_method,
    config_take_text;

void config_list_free(struct config_list_of *list);
