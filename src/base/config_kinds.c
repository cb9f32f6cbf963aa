/* config_kinds.c - values that are numbers, words of a choice, addresses or a file's name. */
#include "config_kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "util.h"

static int complain_range(const struct config_setting *s) {
    return config_complain(s->place, "%s: " CONFIG_CLIP " is out of range (%s)", s->key->name,
                           s->value, s->key->range);
}

int config_set_bool(const struct config_setting *s) {
    if (parse_bool(s->value, s->member) < 0) {
        return config_complain(s->place, "%s: '" CONFIG_CLIP "' is neither yes nor no",
                               s->key->name, s->value);
    }
    return 0;
}

int config_set_span(const struct config_setting *s) {
    usec_t span;
    int r = parse_span(s->value, &span);

    if (r == -EINVAL) {
        return config_complain(
            s->place, "%s: '" CONFIG_CLIP "' is not a time; write it like 90s, 15min or 1h 30min",
            s->key->name, s->value);
    }
    if (r < 0 || span < s->key->min || span > s->key->max) {
        return complain_range(s);
    }
    if (s->app != NULL && s->member == &s->app->stop_timeout && span % USEC_PER_SEC != 0) {
        return config_complain(s->place, "%s: Docker counts whole seconds here, not " CONFIG_CLIP,
                               s->key->name, s->value);
    }
    *(usec_t *)s->member = span;
    return 0;
}

int config_set_size(const struct config_setting *s) {
    uint64_t bytes;
    int r = parse_size(s->value, &bytes);

    if (r == -EINVAL) {
        return config_complain(s->place,
                               "%s: '" CONFIG_CLIP "' is not a size; write it like 16384 or 16K",
                               s->key->name, s->value);
    }
    if (r < 0 || bytes < s->key->min || bytes > s->key->max) {
        return complain_range(s);
    }
    *(size_t *)s->member = (size_t)bytes;
    return 0;
}

int config_set_count(const struct config_setting *s) {
    uint64_t count;
    int r = parse_unsigned(s->value, &count);

    if (r == -EINVAL) {
        return config_complain(s->place, "%s: '" CONFIG_CLIP "' is not a number", s->key->name,
                               s->value);
    }
    if (r < 0 || count < s->key->min || count > s->key->max) {
        return complain_range(s);
    }
    *(unsigned *)s->member = (unsigned)count;
    return 0;
}

int config_set_workers(const struct config_setting *s) {
    if (strcmp(s->value, "auto") == 0) {
        *(unsigned *)s->member = 0;
        return 0;
    }
    return config_set_count(s);
}

int config_set_port(const struct config_setting *s) {
    if (parse_port(s->value, s->member) < 0) {
        return config_complain(s->place, "%s: '" CONFIG_CLIP "' is not a port (1 to 65535)",
                               s->key->name, s->value);
    }
    return 0;
}

int config_set_word(const struct config_setting *s) {
    char choice[128] = "";

    for (unsigned i = 0; s->key->words[i] != NULL; i++) {
        if (strcmp(s->value, s->key->words[i]) == 0) {
            *(unsigned *)s->member = i;
            return 0;
        }
        if (i > 0) {
            strncat(choice, ", ", sizeof(choice) - strlen(choice) - 1);
        }
        strncat(choice, s->key->words[i], sizeof(choice) - strlen(choice) - 1);
    }
    return config_complain(s->place, "%s: '" CONFIG_CLIP "' is none of %s", s->key->name, s->value,
                           choice);
}

int config_set_rate(const struct config_setting *s) {
    uint64_t count;
    usec_t per;
    int r = parse_rate(s->value, &count, &per);

    if (r == -EINVAL) {
        return config_complain(s->place,
                               "%s: '" CONFIG_CLIP "' is not a rate; write it like 10/min or 3/10s",
                               s->key->name, s->value);
    }
    if (r < 0 || count < s->key->min || count > s->key->max || per < USEC_PER_SEC ||
        per > 86400 * USEC_PER_SEC) {
        return complain_range(s);
    }
    *(struct config_rate *)s->member = (struct config_rate){(unsigned)count, per};
    return 0;
}

int config_set_address(const struct config_setting *s) {
    struct config_app *app = s->app;
    struct proto_address fixed;

    if (strcmp(s->value, "auto") == 0) {
        app->address = ADDRESS_AUTO;
    } else if (strcmp(s->value, "published") == 0) {
        app->address = ADDRESS_PUBLISHED;
    } else if (parse_address(s->value, &fixed) < 0) {
        return config_complain(s->place,
                               "%s: '" CONFIG_CLIP
                               "' is none of auto, published or HOST:PORT (HOST: an "
                               "IPv4 address, an IPv6 address in brackets, or localhost)",
                               s->key->name, s->value);
    } else if (s->scope == CONFIG_SCOPE_MAIN) {
        return config_complain(s->place,
                               "%s: HOST:PORT belongs to one app and has no default; put it into "
                               "the app's own file",
                               s->key->name);
    } else {
        app->address = ADDRESS_FIXED;
        app->fixed = fixed;
    }
    return 0;
}

int config_set_expect(const struct config_setting *s) {
    struct config_app *app = s->app;
    struct config_status_range ranges[CONFIG_EXPECT_MAX];
    const char *cursor = s->value;
    const char *word;
    size_t len;
    size_t n = 0;

    while ((word = parse_word(&cursor, &len)) != NULL) {
        if (n == CONFIG_EXPECT_MAX) {
            return config_complain(s->place, "%s: more than %d ranges", s->key->name,
                                   CONFIG_EXPECT_MAX);
        }
        if (parse_status_range(word, len, &ranges[n].low, &ranges[n].high) < 0) {
            return config_complain(s->place,
                                   "%s: '%.*s' is not a status or range of them (100 to 599, "
                                   "like 200-399)",
                                   s->key->name, len < CONFIG_CLIP_MAX ? (int)len : CONFIG_CLIP_MAX,
                                   word);
        }
        n++;
    }
    if (n == 0) {
        return config_complain(s->place, "%s: has no value", s->key->name);
    }
    memcpy(app->expect, ranges, n * sizeof(ranges[0]));
    app->n_expect = n;
    return 0;
}

int config_set_nets(const struct config_setting *s) {
    struct config_nets *nets = s->member;
    struct config_net items[CONFIG_NETS_MAX];
    struct config_net *copy;
    const char *cursor = s->value;
    const char *word;
    size_t len;
    size_t n = 0;

    while ((word = parse_word(&cursor, &len)) != NULL) {
        int clip = len < CONFIG_CLIP_MAX ? (int)len : CONFIG_CLIP_MAX;
        int r;

        if (n == CONFIG_NETS_MAX) {
            return config_complain(s->place, "%s: more than %d networks", s->key->name,
                                   CONFIG_NETS_MAX);
        }
        r = parse_net(word, len, items[n].ip, &items[n].prefix);
        if (r < 0) {
            return config_complain(s->place,
                                   r == -ERANGE ? "%s: '%.*s' has bits set behind its prefix"
                                                : "%s: '%.*s' is not an address or network, like "
                                                  "192.0.2.7, 10.0.0.0/8 or 2001:db8::/32",
                                   s->key->name, clip, word);
        }
        n++;
    }
    if (n == 0) {
        return config_complain(s->place, "%s: has no value", s->key->name);
    }
    copy = calloc(n, sizeof(*copy));
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, items, n * sizeof(*copy));
    free(nets->items);
    *nets = (struct config_nets){n, copy};
    return 0;
}

int config_set_page(const struct config_setting *s) {
    char *page;
    int r = config_page_load(s->pages, s->place, s->key->name, s->value, &page);

    if (r == 0 && page != NULL) {
        config_page_unref(s->app->page);
        s->app->page = page;
    }
    return r;
}
