/* Every key: its default, good values to their bounds, bad ones, and what contradicts what. */
#include "folder.h"

#include <arpa/inet.h>
#include <errno.h>

#include "config_kinds.h"

static const struct config_app *app_of(const struct folder *f, const char *name) {
    const struct config_app *app = config_app_by_name(f->config, name);

    assert_non_null(app);
    return app;
}

static void assert_list(const struct config_list_of *list, const char *const expected[]) {
    size_t n = 0;

    for (; expected[n] != NULL; n++) {
        assert_true(n < list->n);
        assert_string_equal(list->items[n], expected[n]);
    }
    assert_int_equal(list->n, n);
}
#define assert_texts(list, ...) assert_list(list, (const char *const[]){__VA_ARGS__, NULL})

static void defaults_built_in(void **state) {
    struct folder *f = *state;
    const struct config_front *front;
    const struct config_app *app;

    folder_write(f, "apps.d/a.ini", "");
    folder_fine(f);
    front = &f->config->front;
    assert_true(front->keepalive_timeout == 60 * USEC_PER_SEC);
    assert_true(front->stall_timeout == 120 * USEC_PER_SEC);
    assert_int_equal(front->max_per_address, 2000);
    assert_int_equal(front->workers, 0);
    assert_int_equal(front->trusted_proxies.n, 0);
    assert_false(front->proxy_protocol);
    app = app_of(f, "a");
    assert_false(app->is_template);
    assert_int_equal(app->members.n, 0);
    assert_int_equal(app->balance, BALANCE_ROUND_ROBIN);
    assert_null(app->path);
    assert_false(app->strip_path);
    assert_null(app->cookie_name);
    assert_null(app->cookie_value);
    assert_int_equal(app->snis.n, 0);
    assert_false(app->is_default);
    assert_null(app->fallback);
    assert_int_equal(app->wait, WAIT_AUTO);
    assert_true(app->page_after == 2 * USEC_PER_SEC);
    assert_null(app->redirect_path);
    assert_null(app->title);
    assert_null(app->page);
    assert_false(app->show_logs);
    assert_int_equal(app->max_waiting, 4096);
    assert_true(app->silence == app->idle_timeout);
    assert_int_equal(app->proxy_protocol, PROXY_PROTOCOL_NONE);
    assert_int_equal(app->allow_from.n, 0);
    assert_int_equal(app->deny_from.n, 0);
    assert_int_equal(app->methods.n, 0);
    assert_int_equal(app->deny_user_agent.n, 0);
    assert_int_equal(app->deny_path.n, 0);
    assert_int_equal(app->rate.count, 0);
    assert_int_equal(app->asleep_status, 503);
}

static void front_keys(void **state) {
    struct folder *f = *state;
    const struct config_front *front;
    struct proto_address address = {.family = AF_INET, .ip = {10, 1, 2, 3}};

    folder_write(f, "dockwake.conf",
                 "[front]\nkeepalive_timeout = 1d\nstall_timeout = 1s\nmax_per_address = 0\n"
                 "workers = 64\ntrusted_proxies = 10.0.0.0/8, 192.0.2.1 ::1,2001:db8::/32\n"
                 "proxy_protocol = yes\n");
    folder_fine(f);
    front = &f->config->front;
    assert_true(front->keepalive_timeout == 86400 * USEC_PER_SEC);
    assert_true(front->stall_timeout == USEC_PER_SEC);
    assert_int_equal(front->max_per_address, 0);
    assert_int_equal(front->workers, 64);
    assert_true(front->proxy_protocol);
    assert_int_equal(front->trusted_proxies.n, 4);
    assert_true(config_nets_have(&front->trusted_proxies, &address));
    folder_write(f, "dockwake.conf",
                 "[front]\nkeepalive_timeout = 1s\nstall_timeout = 1d\nmax_per_address = 1000000\n"
                 "workers = auto\nproxy_protocol = no\n");
    folder_fine(f);
    assert_int_equal(f->config->front.workers, 0);
    assert_int_equal(f->config->front.max_per_address, 1000000);
}

#define NO_NET " is not an address or network, like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"

static void front_keys_bad(void **state) {
    struct folder *f = *state;
    char many[8192] = "[front]\ntrusted_proxies =";

    folder_write(f, "dockwake.conf",
                 "[front]\nkeepalive_timeout = 999ms\nstall_timeout = 25h\n"
                 "max_per_address = 1000001\nworkers = 65\ntrusted_proxies = 10.0.0.1/8\n"
                 "proxy_protocol = v1\n");
    folder_expect(f, "dockwake.conf:2: keepalive_timeout: 999ms is out of range (1s to 1d)",
                  "dockwake.conf:3: stall_timeout: 25h is out of range (1s to 1d)",
                  "dockwake.conf:4: max_per_address: 1000001 is out of range (0 (no limit) to "
                  "1000000)",
                  "dockwake.conf:5: workers: 65 is out of range (auto, or 1 to 64)",
                  "dockwake.conf:6: trusted_proxies: '10.0.0.1/8' has bits set behind its prefix",
                  "dockwake.conf:7: proxy_protocol: 'v1' is neither yes nor no");
    folder_write(f, "dockwake.conf",
                 "[front]\nworkers = 0\ntrusted_proxies = localhost\nproxy_protocol = yes\n");
    folder_expect(f, "dockwake.conf:2: workers: 0 is out of range (auto, or 1 to 64)",
                  "dockwake.conf:3: trusted_proxies: 'localhost'" NO_NET);
    folder_write(f, "dockwake.conf",
                 "[front]\nworkers = all\ntrusted_proxies = ,\nproxy_protocol = yes\n");
    folder_expect(f, "dockwake.conf:2: workers: 'all' is not a number",
                  "dockwake.conf:3: trusted_proxies: has no value");
    folder_write(f, "dockwake.conf", "[front]\n\nproxy_protocol = yes\n");
    folder_expect(f, "dockwake.conf:3: proxy_protocol: needs trusted_proxies, as nobody else is "
                     "believed");
    for (int i = 0; i <= CONFIG_NETS_MAX; i++) {
        strcat(many, " ::");
    }
    folder_write(f, "dockwake.conf", many);
    folder_expect(f, "dockwake.conf:2: trusted_proxies: more than 256 networks");
    many[strlen(many) - 3] = '\0';
    folder_write(f, "dockwake.conf", many);
    folder_fine(f);
    assert_int_equal(f->config->front.trusted_proxies.n, CONFIG_NETS_MAX);
}

static void app_keys(void **state) {
    struct folder *f = *state;
    const struct config_app *app;

    folder_write(f, "wait.html", "<p>soon</p>");
    folder_write(f, "apps.d/a.ini",
                 "[app]\ncontainers = web-1, web-2 web-3\nbalance = least_connections\n"
                 "idle_timeout = 1h\n"
                 "[route]\nhost = *.Example.com. www.example.com\npath = /%61pp/x%2fy/\n"
                 "strip_path = yes\ncookie = in.st=minion-1\nsni = Db.example.com, *.db.example.\n"
                 "default = yes\nfallback = https://example.com:8443/home?x=%20#top\n"
                 "[wait]\nmode = redirect\nredirect_path = /start?now=1\n"
                 "title = Grafana & more, soon\npage = wait.html\nshow_logs = yes\n"
                 "max_waiting = 1\n"
                 "[idle]\nsilence = 5min\n[handoff]\nproxy_protocol = v2\n"
                 "[wake]\nallow_from = 192.0.2.0/24 ::1\ndeny_from = 192.0.2.7\n"
                 "methods = GET, POST M-SEARCH\n"
                 "deny_user_agent = , Uptime Kuma/1.0 ,bot,  Better Stack,\n"
                 "deny_path = /wp-login.php, /%2e%2egit/ /a%2fb\nrate = 3/10s\n"
                 "asleep_status = 200\n");
    folder_write(f, "apps.d/b.ini",
                 "[app]\nidle_timeout = 0\n[route]\ndefault = no\n"
                 "[wait]\nmode = page\nmax_waiting = 1000000\n"
                 "[handoff]\nproxy_protocol = v1\n[wake]\nrate = 1000000/d\nasleep_status = 599\n");
    folder_write(f, "apps.d/c.ini",
                 "[wait]\nmode = auto\npage_after = 0\n[idle]\nsilence = 0\n"
                 "[handoff]\nproxy_protocol = no\n[wake]\nrate = 1/1s\n");
    folder_write(f, "apps.d/d.ini",
                 "[wait]\npage_after = 1h\n[idle]\nsilence = 365d\n[wake]\nrate = 10/min\n");
    folder_write(f, "apps.d/e.ini",
                 "[route]\npath = /e\ncookie = a=b\nfallback = /home\n"
                 "[wait]\nmode = hold\n[wake]\nrate = 100/h\n");
    folder_fine(f);
    app = app_of(f, "a");
    assert_texts(&app->members, "web-1", "web-2", "web-3");
    assert_null(app->container);
    assert_int_equal(app->balance, BALANCE_LEAST_CONNECTIONS);
    assert_int_equal(app->n_hosts, 2);
    assert_string_equal(app->hosts[0], "*.example.com");
    assert_string_equal(app->hosts[1], "www.example.com");
    assert_string_equal(app->path, "/app/x%2Fy");
    assert_true(app->strip_path);
    assert_string_equal(app->cookie_name, "in.st");
    assert_string_equal(app->cookie_value, "minion-1");
    assert_texts(&app->snis, "db.example.com", "*.db.example");
    assert_true(app->is_default);
    assert_string_equal(app->fallback, "https://example.com:8443/home?x=%20#top");
    assert_int_equal(app->wait, WAIT_REDIRECT);
    assert_string_equal(app->redirect_path, "/start?now=1");
    assert_string_equal(app->title, "Grafana & more, soon");
    assert_string_equal(app->page, "<p>soon</p>");
    assert_true(app->show_logs);
    assert_int_equal(app->max_waiting, 1);
    assert_true(app->silence == 300 * USEC_PER_SEC);
    assert_int_equal(app->proxy_protocol, PROXY_PROTOCOL_V2);
    assert_int_equal(app->allow_from.n, 2);
    assert_int_equal(app->deny_from.n, 1);
    assert_int_equal(app->deny_from.items[0].prefix, 128);
    assert_texts(&app->methods, "GET", "POST", "M-SEARCH");
    assert_texts(&app->deny_user_agent, "Uptime Kuma/1.0", "bot", "Better Stack");
    assert_texts(&app->deny_path, "/wp-login.php", "/..git", "/a%2Fb");
    assert_int_equal(app->rate.count, 3);
    assert_true(app->rate.per == 10 * USEC_PER_SEC);
    assert_int_equal(app->asleep_status, 200);
    app = app_of(f, "b");
    assert_true(app->silence == 0);
    assert_false(app->is_default);
    assert_int_equal(app->wait, WAIT_PAGE);
    assert_int_equal(app->max_waiting, 1000000);
    assert_int_equal(app->proxy_protocol, PROXY_PROTOCOL_V1);
    assert_int_equal(app->rate.count, 1000000);
    assert_true(app->rate.per == 86400 * USEC_PER_SEC);
    assert_int_equal(app->asleep_status, 599);
    app = app_of(f, "c");
    assert_true(app->page_after == 0);
    assert_true(app->silence == 0);
    assert_true(app->rate.per == USEC_PER_SEC);
    app = app_of(f, "d");
    assert_true(app->page_after == 3600 * USEC_PER_SEC);
    assert_true(app->silence == 365 * 86400 * USEC_PER_SEC);
    assert_true(app->rate.per == 60 * USEC_PER_SEC);
    app = app_of(f, "e");
    assert_int_equal(app->wait, WAIT_HOLD);
    assert_string_equal(app->fallback, "/home");
    assert_true(app->rate.per == 3600 * USEC_PER_SEC);
}

#define ONLY_TEMPLATE " has %i, which stands for an instance: only a template (NAME@.ini) has those"
#define NO_HOST       " is not a host name or IP address (and has no port)"
#define NO_PATH1                                                                                   \
    " is not a path (a slash first, in ASCII, with %XX for all other characters, no ? and no #)"
#define NO_PATH2 " is not a path (a slash first, and two hex digits after each %)"
#define NO_PLACE " is not a path (one slash first, no blanks, two hex digits after each %)"
#define NO_URL   " is neither a path (one slash first) nor an http:// or https:// address"
#define NO_RATE  " is not a rate; write it like 10/min or 3/10s"

/* A key, a value, and what is said about it behind the file, the line and the key. */
struct bad {
    const char *section, *key, *value, *text;
};

static const struct bad bad_values[] = {
    {"app", "containers", "a b/c",
     "'b/c' is not a name that Docker has (at most 255 of letters, "
     "digits and _.-, a letter or digit first)"},
    {"app", "containers", "a b-%i",
     "'b-%i' is not a name that Docker has (at most 255 of letters, "
     "digits and _.-, a letter or digit first)"},
    {"app", "containers", ",", "0 entries where 1 to 64 are possible"},
    {"app", "balance", "random", "'random' is none of round_robin, least_connections"},
    {"app", "container", "c-%i", "'c-%i'" ONLY_TEMPLATE},
    {"route", "host", "*", "'*'" NO_HOST},
    {"route", "host", "*.", "'*.' is not `*.` and a host name"},
    {"route", "host", "*.*.example", "'*.*.example' is not `*.` and a host name"},
    {"route", "host", "*.10.0.0.1", "'*.10.0.0.1' is a wildcard below an IP address"},
    {"route", "host", "*.[::1]", "'*.[::1]' is a wildcard below an IP address"},
    {"route", "host", "a.*.example", "'a.*.example'" NO_HOST},
    {"route", "host", "a*.example", "'a*.example'" NO_HOST},
    {"route", "host", "*.%i.example", "'*.%i.example' is not `*.` and a host name"},
    {"route", "host", "%i.example", "'%i.example'" ONLY_TEMPLATE},
    {"route", "path", "app", "'app'" NO_PATH2},
    {"route", "path", "/", "'/' is every path; leave it out"},
    {"route", "path", "/a b", "'/a b'" NO_PATH1},
    {"route", "path", "/a?b", "'/a?b'" NO_PATH1},
    {"route", "path", "/a#b", "'/a#b'" NO_PATH1},
    {"route", "path", "/\xc3\xa4", "'/\xc3\xa4'" NO_PATH1},
    {"route", "path", "/a%2", "'/a%2'" NO_PATH2},
    {"route", "path", "/a%zz", "'/a%zz'" NO_PATH2},
    {"route", "path", "/a%i", "'/a%i'" ONLY_TEMPLATE},
    {"route", "path", "/a/../b", "'/a/../b' has a segment . or .."},
    {"route", "path", "/a/%2E%2e", "'/a/%2E%2e' has a segment . or .."},
    {"route", "path", "/a//b", "'/a//b' has an empty segment"},
    {"route", "path", "/a//", "'/a//' has an empty segment"},
    {"route", "path", "//", "'//' has an empty segment"},
    {"route", "path", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
     "'/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17' has more than 16 segments"},
    {"route", "path", "/_dockwake",
     "'/_dockwake' is below /_dockwake, where dockwake's own pages "
     "are"},
    {"route", "path", "/_dockw%61ke/x",
     "'/_dockw%61ke/x' is below /_dockwake, where dockwake's "
     "own pages are"},
    {"route", "strip_path", "all", "'all' is neither yes nor no"},
    {"route", "cookie", "minion-1", "'minion-1' is not a cookie as NAME=VALUE"},
    {"route", "cookie", "=x", "'=x' is not a cookie as NAME=VALUE"},
    {"route", "cookie", "a b=x", "'a b=x' is not a cookie as NAME=VALUE"},
    {"route", "cookie", "a=",
     "'a=' has a value that no cookie has (something, without blanks and "
     "\",;\\)"},
    {"route", "cookie", "a=\"x\"",
     "'a=\"x\"' has a value that no cookie has (something, without "
     "blanks and \",;\\)"},
    {"route", "cookie", "a=x;b=y",
     "'a=x;b=y' has a value that no cookie has (something, without "
     "blanks and \",;\\)"},
    {"route", "cookie", "a=\xc3\xa4", "'a=\xc3\xa4' has a value that is not ASCII"},
    {"route", "cookie", "a=x%i", "'a=x%i'" ONLY_TEMPLATE},
    {"route", "sni", "10.0.0.1", "'10.0.0.1' is not a host name, with or without `*.` before it"},
    {"route", "sni", "a:443", "'a:443' is not a host name, with or without `*.` before it"},
    {"route", "sni", "*.10.0.0.1", "'*.10.0.0.1' is a wildcard below an IP address"},
    {"route", "sni", "%i.example",
     "'%i.example' is not a host name, with or without `*.` before "
     "it"},
    {"route", "default", "maybe", "'maybe' is neither yes nor no"},
    {"route", "fallback", "home", "'home'" NO_URL},
    {"route", "fallback", "//evil.example/", "'//evil.example/'" NO_URL},
    {"route", "fallback", "ftp://a.example/", "'ftp://a.example/'" NO_URL},
    {"route", "fallback", "http://", "'http://'" NO_URL},
    {"route", "fallback", "http:///x", "'http:///x'" NO_URL},
    {"route", "fallback", "https://a@b.example/", "'https://a@b.example/'" NO_URL},
    {"route", "fallback", "https://a.example:0/", "'https://a.example:0/'" NO_URL},
    {"route", "fallback", "https://a.example:/", "'https://a.example:/'" NO_URL},
    {"route", "fallback", "https://a.example:123456/", "'https://a.example:123456/'" NO_URL},
    {"route", "fallback", "https://::1/", "'https://::1/'" NO_URL},
    {"route", "fallback", "https://a.example/a b", "'https://a.example/a b'" NO_URL},
    {"route", "fallback", "/x%", "'/x%'" NO_URL},
    {"wait", "mode", "wait", "'wait' is none of auto, hold, page, redirect"},
    {"wait", "page_after", "61min", "61min is out of range (0 to 1h)"},
    {"wait", "redirect_path", "https://a.example/", "'https://a.example/'" NO_PLACE},
    {"wait", "redirect_path", "//a.example", "'//a.example'" NO_PLACE},
    {"wait", "redirect_path", "/\\a.example", "'/\\a.example'" NO_PLACE},
    {"wait", "redirect_path", "/a b", "'/a b'" NO_PLACE},
    {"wait", "redirect_path", "/%i", "'/%i'" NO_PLACE},
    {"wait", "page", "/etc/passwd",
     "'/etc/passwd' is not a file below the folder of dockwake.conf (no / at the begin, no ..)"},
    {"wait", "page", "../secret",
     "'../secret' is not a file below the folder of dockwake.conf (no / at the begin, no ..)"},
    {"wait", "page", "a/b/../../../secret",
     "'a/b/../../../secret' is not a file below the folder of dockwake.conf (no / at the begin, no "
     "..)"},
    {"wait", "page", "none.html", "'none.html': does not exist"},
    {"wait", "page", "apps.d", "'apps.d': is not a regular file"},
    {"wait", "page", "empty.html", "'empty.html': is empty"},
    {"wait", "page", "nul.html", "'nul.html': has a NUL byte"},
    {"wait", "page", "large.html", "'large.html': is larger than 262144 bytes"},
    {"wait", "show_logs", "2", "'2' is neither yes nor no"},
    {"wait", "max_waiting", "0", "0 is out of range (1 to 1000000)"},
    {"wait", "max_waiting", "1000001", "1000001 is out of range (1 to 1000000)"},
    {"idle", "silence", "366d", "366d is out of range (0 (never) to 365d)"},
    {"handoff", "proxy_protocol", "yes", "'yes' is none of no, v1, v2"},
    {"wake", "allow_from", "10.0.0.0/33", "'10.0.0.0/33'" NO_NET},
    {"wake", "deny_from", "::1/64", "'::1/64' has bits set behind its prefix"},
    {"wake", "methods", "GET get", "'get' is not a method, like GET"},
    {"wake", "methods", "G@T", "'G@T' is not a method, like GET"},
    {"wake", "deny_user_agent", " , ,", "0 entries where 1 to 64 are possible"},
    {"wake", "deny_path", "x", "'x'" NO_PATH2},
    {"wake", "deny_path", "/", "'/' is every path; leave it out"},
    {"wake", "deny_path", "/%i", "'/%i'" NO_PATH2},
    {"wake", "rate", "10", "'10'" NO_RATE},
    {"wake", "rate", "10/", "'10/'" NO_RATE},
    {"wake", "rate", "/min", "'/min'" NO_RATE},
    {"wake", "rate", "10/min/s", "'10/min/s'" NO_RATE},
    {"wake", "rate", "10/fortnight", "'10/fortnight'" NO_RATE},
    {"wake", "rate", "0/min", "0/min is out of range (1 to 1000000, in 1s to 1d)"},
    {"wake", "rate", "1000001/d", "1000001/d is out of range (1 to 1000000, in 1s to 1d)"},
    {"wake", "rate", "1/999ms", "1/999ms is out of range (1 to 1000000, in 1s to 1d)"},
    {"wake", "rate", "1/25h", "1/25h is out of range (1 to 1000000, in 1s to 1d)"},
    {"wake", "asleep_status", "199", "199 is out of range (200 to 599)"},
    {"wake", "asleep_status", "600", "600 is out of range (200 to 599)"},
    {"wake", "asleep_status", "no", "'no' is not a number"},
};

/* The same for templates. */
static const struct bad bad_template_values[] = {
    {"app", "container", "%i-%i", "'%i-%i' has more than one %i"},
    {"app", "container", "-%i",
     "'-%i' is not a name that Docker has (at most 255 of letters, "
     "digits and _.-, a letter or digit first; %i may be 63 long)"},
    {"route", "host", "%i.%i.example", "'%i.%i.example' has more than one %i"},
    {"route", "host", "a.%i.example", "'a.%i.example' has %i behind the first dot"},
    {"route", "host", "%i-.example", "'%i-.example'" NO_HOST},
    {"route", "host", "[%i::1]", "'[%i::1]'" NO_HOST},
    {"route", "path", "/%i/%i", "'/%i/%i' has more than one %i"},
    {"route", "path", "/%i/..", "'/%i/..' has a segment . or .."},
    {"route", "path", "%i", "'%i'" NO_PATH2},
    {"route", "path", "/_dockwake/%i",
     "'/_dockwake/%i' is below /_dockwake, where dockwake's own "
     "pages are"},
    {"route", "cookie", "a=%i%i", "'a=%i%i' has more than one %i"},
};

static void check_bad(struct folder *f, const char *file, const struct bad *cases, size_t n) {
    char text[1024];
    char expected[1024];

    for (size_t i = 0; i < n; i++) {
        const struct bad *c = &cases[i];

        snprintf(text, sizeof(text), "[%s]\n\n%s = %s\n", c->section, c->key, c->value);
        snprintf(expected, sizeof(expected), "%s:3: %s: %s", file, c->key, c->text);
        folder_write(f, file, text);
        /* The first error: that the key is missing now may be wrong too. */
        config_free(f->config);
        config_errors_done(&f->errors);
        f->config = NULL;
        assert_int_equal(config_load(&f->paths, &f->errors, &f->config), 0);
        if (f->errors.n == 0) {
            fail_msg("no error: %s", expected);
        }
        assert_string_equal(folder_error(f, 0), expected);
        assert_true(app_of(f, "a")->broken);
    }
}

static void app_keys_bad(void **state) {
    struct folder *f = *state;
    static char large[CONFIG_PAGE_MAX + 1];

    memset(large, 'x', sizeof(large));
    folder_write(f, "empty.html", "");
    folder_write_bytes(f, "nul.html", "a\0b", 3);
    folder_write_bytes(f, "large.html", large, sizeof(large));
    check_bad(f, "apps.d/a.ini", bad_values, ARRAY_SIZE(bad_values));
    assert_int_equal(unlink(strcat(f->apps, "/a.ini")), 0);
    *strrchr(f->apps, '/') = '\0';
    check_bad(f, "apps.d/a@.ini", bad_template_values, ARRAY_SIZE(bad_template_values));
}

/* Values in two files or more, the first error of the last. */
static void long_values(void **state) {
    struct folder *f = *state;
    char text[2048];
    char name[256];

    memset(name, 'n', sizeof(name));
    name[CONFIG_TITLE_MAX] = '\0';
    snprintf(text, sizeof(text), "[wait]\ntitle = %s\n", name);
    folder_write(f, "apps.d/a.ini", text);
    folder_fine(f);
    assert_string_equal(app_of(f, "a")->title, name);
    snprintf(text, sizeof(text), "[wait]\ntitle = %sn\n", name);
    folder_write(f, "apps.d/a.ini", text);
    snprintf(text, sizeof(text), "apps.d/a.ini:2: title: '%.80s' is longer than 200 bytes", name);
    folder_expect(f, text);
    folder_write(f, "apps.d/a.ini", "");

    /* An instance's name may be 63 bytes long, and a container's 255. */
    memset(name, 'n', sizeof(name));
    name[192] = '\0';
    snprintf(text, sizeof(text), "[app]\ncontainer = %s%%i\n", name);
    folder_write(f, "apps.d/t@.ini", text);
    folder_fine(f);
    snprintf(text, sizeof(text), "[app]\ncontainer = %sn%%i\n", name);
    folder_write(f, "apps.d/t@.ini", text);
    snprintf(text, sizeof(text),
             "apps.d/t@.ini:2: container: '%.80s' is not a name that Docker has (at most 255 of "
             "letters, digits and _.-, a letter or digit first; %%i may be 63 long)",
             name);
    folder_expect(f, text);
    folder_write(f, "apps.d/t@.ini", "");

    text[0] = '\0';
    for (int i = 0; i < CONFIG_SEGMENTS_MAX; i++) {
        strcat(text, "/x");
    }
    strcpy(name, text);
    snprintf(text, sizeof(text), "[route]\npath = %s/\n", name);
    folder_write(f, "apps.d/a.ini", text);
    folder_fine(f);
    assert_string_equal(app_of(f, "a")->path, name);
}

static void list_bounds(void **state) {
    struct folder *f = *state;
    static const char *const keys[] = {"[app]\ncontainers", "[route]\nsni", "[wake]\nmethods",
                                       "[wake]\ndeny_user_agent", "[wake]\ndeny_path"};
    static const char *const words[] = {"c", "h", "M", "a", "/p"};

    for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
        char text[1024];
        char expected[256];

        sprintf(text, "%s = ", keys[k]);
        for (int i = 0; i < CONFIG_LIST_MAX; i++) {
            sprintf(text + strlen(text), "%s%d, ", words[k], i);
        }
        folder_write(f, "apps.d/a.ini", text);
        folder_fine(f);
        sprintf(text + strlen(text), "%s%d, ", words[k], CONFIG_LIST_MAX);
        folder_write(f, "apps.d/a.ini", text);
        snprintf(expected, sizeof(expected),
                 "apps.d/a.ini:2: %s: 65 entries where 1 to 64 are possible",
                 strchr(keys[k], '\n') + 1);
        folder_expect(f, expected);
    }
}

static void pages(void **state) {
    struct folder *f = *state;
    static char largest[CONFIG_PAGE_MAX];

    memset(largest, 'x', sizeof(largest));
    folder_write_bytes(f, "largest.html", largest, sizeof(largest));
    folder_write(f, "vendor/b.html", "b");
    folder_write(f, "dockwake.conf", "[defaults]\npage = largest.html\n");
    folder_write(f, "apps.d/a.ini", "");
    folder_write(f, "apps.d/b.ini", "[wait]\npage = vendor/b.html\n");
    folder_write(f, "apps.d/c.ini", "[wait]\npage = vendor/b.html\n");
    folder_fine(f);
    assert_int_equal(strlen(app_of(f, "a")->page), CONFIG_PAGE_MAX);
    assert_string_equal(app_of(f, "b")->page, "b");
    /* Thousands of apps share one. */
    assert_ptr_equal(app_of(f, "b")->page, app_of(f, "c")->page);

    /* Without a dockwake.conf there is no folder to look in. */
    f->paths.file = NULL;
    folder_expect(f, "apps.d/b.ini:2: page: 'vendor/b.html': does not exist",
                  "apps.d/c.ini:2: page: 'vendor/b.html': does not exist");
    f->paths.file = f->file;
    folder_write(f, "dockwake.conf", "[defaults]\n\npage = x.html\n");
    folder_expect(f, "dockwake.conf:3: page: 'x.html': does not exist");
}

/* --- contradictions -------------------------------------------------------------------------- */

struct contradiction {
    const char *text;
    const char *error; /* NULL: none */
};

static const struct contradiction contradictions[] = {
    {"[app]\ncontainers = a\ncontainer = b\n", "2: containers: cannot be given beside container"},
    {"[app]\naddress = 127.0.0.1:1\ncontainers = a\n",
     "3: containers: cannot be given beside address = HOST:PORT, which would be the same for all "
     "of them"},
    {"[app]\naddress = published\ncontainers = a\n", NULL},
    {"[app]\ncontainers = a b a\n", "2: containers: 'a' is given twice"},
    {"[app]\nbalance = round_robin\n", "2: balance: has no effect without containers"},
    {"[route]\nstrip_path = yes\n", "2: strip_path: has no effect without path"},
    {"[route]\nstrip_path = no\n", NULL},
    {"[route]\nhost = a\nfallback = /x\n", "3: fallback: has no effect without cookie"},
    {"[wait]\nmode = redirect\n", "2: mode: redirect needs a redirect_path"},
    {"[wait]\nmode = page\nredirect_path = /x\n",
     "3: redirect_path: has no effect without mode = redirect"},
    {"[wait]\nredirect_path = /x\n", "2: redirect_path: has no effect without mode = redirect"},
    {"[wait]\nmode = hold\npage_after = 1s\n", "3: page_after: has no effect without mode = auto"},
    {"[wait]\npage_after = 1s\n", NULL},
    {"[route]\nhost = a a\n", "2: host 'a' is given twice"},
    {"[route]\npath = /p\nhost = *.a, *.A.\n", "3: host '*.a' with path '/p' is given twice"},
    {"[route]\nsni = a b *.c *.c\n", "2: sni '*.c' is given twice"},
    {"[route]\nsni = a b a\n", "2: sni 'a' is given twice"},
    {"[route]\nhost = a\ncookie = c=d\nfallback = /x?y\n",
     "4: fallback: '/x?y' wants the cookie too: who has none would be sent there again and again"},
    {"[route]\nhost = a\npath = /app\ncookie = c=d\nfallback = /app/x\n",
     "5: fallback: '/app/x' wants the cookie too: who has none would be sent there again and "
     "again"},
    {"[route]\nhost = a\npath = /app\ncookie = c=d\nfallback = /apple\n", NULL},
    {"[route]\nhost = a\ncookie = c=d\nfallback = http://b/\n", NULL},
    {"[route]\nhost = *.a\ncookie = c=d\nfallback = /\n", NULL},
    {"[route]\ncookie = c=d\nfallback = /\n",
     "3: fallback: '/' wants the cookie too: who has none would be sent there again and again"},
};

static const struct contradiction in_templates[] = {
    {"", NULL},
    {"[app]\ncontainer = x-%i-y\n", NULL},
    {"[app]\ncontainer = x\n", "2: container: a template needs %i, in container or in its route"},
    {"[app]\ncontainer = x\n[route]\npath = /%i\n", NULL},
    {"[app]\ncontainers = a b\n", "2: containers: cannot be given in a template"},
    {"[app]\naddress = 127.0.0.1:1\n",
     "2: address: HOST:PORT would be the same for all instances of a template"},
    {"[route]\nport = 1\n", "2: port: cannot belong to a template, as it tells no instance"},
    {"[route]\nsni = a\n", "2: sni: cannot belong to a template, as it tells no instance"},
    {"[route]\npath = /%i\ndefault = yes\n",
     "3: default: cannot be a template, as nothing tells the instance"},
    {"[route]\npath = /a\n",
     "2: a template's route needs %i, which tells the instance, in host, path or cookie"},
    {"[route]\ncookie = a=b\n",
     "2: a template's route needs %i, which tells the instance, in host, path or cookie"},
    {"[route]\nhost = %i.a b\n",
     "2: host: 'b' does not tell the instance: %i is neither in it nor in path or cookie"},
    {"[route]\nhost = %i.a b\npath = /%i\n", NULL},
    {"[route]\nhost = *.a\ncookie = a=%i\n", NULL},
    {"[route]\nhost = %i.a x%i.A.\npath = /x\n", NULL},
    {"[route]\nhost = %i.a %i.A.\n", "2: host '%i.a' is given twice"},
    {"[route]\nhost = a\npath = /%i/x\ncookie = a=%i-\n", NULL},
};

static void check_contradictions(struct folder *f, const char *file,
                                 const struct contradiction *cases, size_t n) {
    char expected[512];

    for (size_t i = 0; i < n; i++) {
        folder_write(f, file, cases[i].text);
        if (cases[i].error == NULL) {
            folder_fine(f);
        } else {
            snprintf(expected, sizeof(expected), "%s:%s", file, cases[i].error);
            folder_expect(f, expected);
        }
        assert_int_equal(app_of(f, "a")->broken, cases[i].error != NULL);
    }
}

static void keys_that_contradict(void **state) {
    struct folder *f = *state;

    check_contradictions(f, "apps.d/a.ini", contradictions, ARRAY_SIZE(contradictions));
}

static void keys_that_contradict_in_templates(void **state) {
    struct folder *f = *state;

    check_contradictions(f, "apps.d/a@.ini", in_templates, ARRAY_SIZE(in_templates));
}

/* --- [defaults] ------------------------------------------------------------------------------ */

static void keys_in_defaults(void **state) {
    struct folder *f = *state;
    const struct config_app *app;

    folder_write(f, "page.html", "x");
    folder_write(f, "dockwake.conf",
                 "[defaults]\nbalance = least_connections\nmode = redirect\nredirect_path = /up\n"
                 "page_after = 5s\ntitle = T\npage = page.html\nshow_logs = yes\nmax_waiting = 9\n"
                 "silence = 1min\nproxy_protocol = v1\nallow_from = ::/0\ndeny_from = 10.0.0.1\n"
                 "methods = GET\ndeny_user_agent = a b, c\ndeny_path = /x\nrate = 1/s\n"
                 "asleep_status = 404\npath = /health\n");
    folder_write(f, "apps.d/a.ini", "");
    folder_write(f, "apps.d/b.ini",
                 "[wait]\nmode = hold\ntitle = U\n[idle]\nsilence = 2min\n"
                 "[wake]\nmethods = PUT POST\nallow_from = ::1\n");
    folder_write(f, "apps.d/c.ini", "[wait]\nredirect_path = /other\n");
    folder_fine(f);
    app = app_of(f, "a");
    assert_int_equal(app->balance, BALANCE_LEAST_CONNECTIONS);
    assert_int_equal(app->wait, WAIT_REDIRECT);
    assert_string_equal(app->redirect_path, "/up");
    assert_true(app->page_after == 5 * USEC_PER_SEC);
    assert_string_equal(app->title, "T");
    assert_string_equal(app->page, "x");
    assert_true(app->show_logs);
    assert_int_equal(app->max_waiting, 9);
    assert_true(app->silence == 60 * USEC_PER_SEC);
    assert_int_equal(app->proxy_protocol, PROXY_PROTOCOL_V1);
    assert_int_equal(app->allow_from.items[0].prefix, 0);
    assert_int_equal(app->deny_from.n, 1);
    assert_texts(&app->methods, "GET");
    assert_texts(&app->deny_user_agent, "a b", "c");
    assert_texts(&app->deny_path, "/x");
    assert_int_equal(app->rate.count, 1);
    assert_int_equal(app->asleep_status, 404);
    /* That of [health]: the one of [route] is one app's. */
    assert_string_equal(app->health_path, "/health");
    assert_null(app->path);
    app = app_of(f, "b");
    assert_int_equal(app->wait, WAIT_HOLD);
    assert_string_equal(app->title, "U");
    assert_true(app->silence == 120 * USEC_PER_SEC);
    assert_texts(&app->methods, "PUT", "POST");
    assert_int_equal(app->allow_from.items[0].prefix, 128);
    assert_string_equal(app_of(f, "c")->redirect_path, "/other");

    folder_write(f, "dockwake.conf", "[defaults]\nmode = redirect\n");
    folder_expect(f, "apps.d/a.ini:0: mode: redirect needs a redirect_path");
}

static void keys_not_in_defaults(void **state) {
    struct folder *f = *state;
    static const char *const names[] = {"container", "containers", "port",
                                        "host",      "strip_path", "cookie",
                                        "sni",       "default",    "fallback"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char text[128];
        char expected[256];

        snprintf(text, sizeof(text), "[defaults]\n%s = x\n", names[i]);
        snprintf(expected, sizeof(expected),
                 "dockwake.conf:2: %s: belongs to one app and has no default; put it into the "
                 "app's own file",
                 names[i]);
        folder_write(f, "dockwake.conf", text);
        folder_expect(f, expected);
    }
    folder_write(f, "dockwake.conf", "[defaults]\nkeepalive_timeout = 1s\n");
    folder_expect(f, "dockwake.conf:2: unknown key 'keepalive_timeout' in [defaults]");
}

/* A name in [defaults] means one key. */
static void defaults_are_unambiguous(void **state) {
    (void)state;
    for (size_t i = 0; i < config_keys_n; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct config_key *a = &config_keys[i];
            const struct config_key *b = &config_keys[j];

            if (a->object == CONFIG_APP && b->object == CONFIG_APP && !a->own && !b->own) {
                assert_string_not_equal(a->name, b->name);
            }
            assert_false(strcmp(a->section, b->section) == 0 && strcmp(a->name, b->name) == 0);
        }
    }
}

/* --- instances ------------------------------------------------------------------------------- */

static void instances_of_templates(void **state) {
    struct folder *f = *state;
    struct config_app *app = NULL;

    folder_write(f, "page.html", "page");
    folder_write(f, "apps.d/s@.ini",
                 "[app]\ncontainer = minion-%i\nport = 80\n"
                 "[route]\nhost = %i.example, pr-%i-x.example a.example\npath = /session/%i/x\n"
                 "cookie = i=_%i_\n[wait]\npage = page.html\n[wake]\ndeny_from = ::/0\n"
                 "methods = GET\n");
    folder_write(f, "apps.d/t@.ini", "[app]\nport = x\n");
    folder_write(f, "apps.d/u@.ini", "");
    folder_expect(f, "apps.d/t@.ini:2: port: 'x' is not a port (1 to 65535)");
    assert_string_equal(app_of(f, "s")->container, "minion-%i");
    assert_string_equal(app_of(f, "u")->container, "u-%i");
    assert_int_equal(config_instance_new(f->config, "s@Ab-1_", &app), 0);
    assert_string_equal(app->name, "s@Ab-1_");
    assert_false(app->is_template);
    assert_false(app->broken);
    assert_string_equal(app->container, "minion-Ab-1_");
    assert_int_equal(app->port, 80);
    assert_int_equal(app->n_hosts, 3);
    assert_string_equal(app->hosts[0], "Ab-1_.example");
    assert_string_equal(app->hosts[1], "pr-Ab-1_-x.example");
    assert_string_equal(app->hosts[2], "a.example");
    assert_string_equal(app->path, "/session/Ab-1_/x");
    assert_string_equal(app->cookie_name, "i");
    assert_string_equal(app->cookie_value, "_Ab-1__");
    /* It outlives its table. */
    config_free(f->config);
    f->config = NULL;
    assert_string_equal(app->page, "page");
    assert_texts(&app->methods, "GET");
    assert_int_equal(app->deny_from.n, 1);
    config_instance_free(app);

    assert_int_equal(config_load(&f->paths, &f->errors, &f->config), 0);
    assert_int_equal(config_instance_new(f->config, "t@x", &app), 0);
    assert_true(app->broken);
    config_instance_free(app);
    assert_int_equal(config_instance_new(f->config, "u@x", &app), 0);
    assert_string_equal(app->container, "u-x");
    config_instance_free(app);
    config_instance_free(NULL);
}

static void instances_of_groups(void **state) {
    struct folder *f = *state;
    static const char *const containers[] = {"web-a", "web-b", "web-c"};
    struct config_app *app = NULL;

    folder_write(f, "apps.d/g.ini", "[app]\ncontainers = web-a web-b web-c\n[route]\nhost = a\n");
    folder_fine(f);
    for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
        char name[8];

        snprintf(name, sizeof(name), "g@%zu", i + 1);
        assert_int_equal(config_instance_new(f->config, name, &app), 0);
        assert_string_equal(app->name, name);
        assert_string_equal(app->container, containers[i]);
        assert_int_equal(app->members.n, 0);
        assert_string_equal(app->hosts[0], "a");
        config_instance_free(app);
    }
}

#define NAME62 "23456789-123456789-123456789-123456789-123456789-123456789-123"

static void instances_that_are_none(void **state) {
    struct folder *f = *state;
    static const struct {
        const char *name;
        int result;
    } cases[] = {
        {"s@a" NAME62, 0},
        {"s@a" NAME62 "4", -EINVAL},
        {"s@", -EINVAL},
        {"s", -EINVAL},
        {"", -EINVAL},
        {"@a", -EINVAL},
        {"s@-a", -EINVAL},
        {"s@_a", -EINVAL},
        {"s@a.b", -EINVAL},
        {"s@a/b", -EINVAL},
        {"s@a@b", -EINVAL},
        {"s@%i", -EINVAL},
        {"a" NAME62 "@a", -ENOENT},
        {"a" NAME62 "4@a", -EINVAL},
        {"x@a", -ENOENT},
        {"plain@a", -ENOENT},
        {"plain@1", -ENOENT},
        {"g@1", 0},
        {"g@2", 0},
        {"g@0", -ENOENT},
        {"g@3", -ENOENT},
        {"g@01", -ENOENT},
        {"g@a", -ENOENT},
        {"g@18446744073709551617", -ENOENT},
    };

    folder_write(f, "apps.d/s@.ini", "");
    folder_write(f, "apps.d/g.ini", "[app]\ncontainers = a b\n");
    folder_write(f, "apps.d/plain.ini", "");
    folder_fine(f);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config_app *app = NULL;

        assert_int_equal(config_instance_new(f->config, cases[i].name, &app), cases[i].result);
        assert_int_equal(app != NULL, cases[i].result == 0);
        config_instance_free(app);
    }
}

/* --- what is shipped ------------------------------------------------------------------------- */

/* Removes the `#` before the keys that are shown with a value. */
static void uncomment(char *text) {
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z') {
            const char *value = line + 1 + strspn(line + 1, "abcdefghijklmnopqrstuvwxyz_");

            if (strncmp(value, " = ", 3) == 0) {
                memmove(line, line + 1, strlen(line));
            }
        }
    }
}

/* The file that is shipped has every key, and says the defaults; the examples are sound. */
static void shipped_files(void **state) {
    struct folder *f = *state;
    static char text[CONFIG_FILE_MAX + 1];
    size_t size;
    const struct config_app *app;
    const struct config_front *front;

    if (access("etc/dockwake.conf", R_OK) < 0) {
        skip(); /* not run from the tree's top */
    }
    f->paths = (struct config_paths){"etc/dockwake.conf", "etc/examples", NULL};
    folder_fine(f);
    assert_true(f->config->n_apps >= 10);
    assert_int_equal(config_file_read(AT_FDCWD, "etc/dockwake.conf", text, CONFIG_FILE_MAX, &size),
                     CONFIG_READ_WHOLE);
    text[size] = '\0';
    for (size_t i = 0; i < config_keys_n; i++) {
        char key[64];

        snprintf(key, sizeof(key), "\n#%s =", config_keys[i].name);
        if (!config_keys[i].own && strstr(text, key) == NULL) {
            fail_msg("%s is not shown", config_keys[i].name);
        }
    }
    uncomment(text);
    f->paths = (struct config_paths){f->file, f->apps, NULL};
    folder_write(f, "dockwake.conf", text);
    folder_write(f, "apps.d/a.ini", "");
    folder_fine(f);
    front = &f->config->front;
    assert_true(front->exit_idle == 30 * USEC_PER_SEC);
    assert_true(front->head_timeout == 15 * USEC_PER_SEC);
    assert_int_equal(front->head_limit, 16384);
    assert_true(front->keepalive_timeout == 60 * USEC_PER_SEC);
    assert_true(front->stall_timeout == 120 * USEC_PER_SEC);
    assert_int_equal(front->max_connections, 10000);
    assert_int_equal(front->max_per_address, 2000);
    assert_int_equal(front->workers, 0);
    app = app_of(f, "a");
    assert_true(app->start_timeout == 60 * USEC_PER_SEC);
    assert_true(app->idle_timeout == 900 * USEC_PER_SEC);
    assert_true(app->silence == app->idle_timeout);
    assert_true(app->stop_timeout == 10 * USEC_PER_SEC);
    assert_int_equal(app->wait, WAIT_AUTO);
    assert_true(app->page_after == 2 * USEC_PER_SEC);
    assert_int_equal(app->max_waiting, 4096);
    assert_int_equal(app->asleep_status, 503);
    assert_int_equal(app->proxy_protocol, PROXY_PROTOCOL_NONE);
    assert_true(app->interval == 50 * USEC_PER_MSEC);
    assert_true(app->grace == USEC_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        folder_test(defaults_built_in),
        folder_test(front_keys),
        folder_test(front_keys_bad),
        folder_test(app_keys),
        folder_test(app_keys_bad),
        folder_test(long_values),
        folder_test(list_bounds),
        folder_test(pages),
        folder_test(keys_that_contradict),
        folder_test(keys_that_contradict_in_templates),
        folder_test(keys_in_defaults),
        folder_test(keys_not_in_defaults),
        cmocka_unit_test(defaults_are_unambiguous),
        folder_test(instances_of_templates),
        folder_test(instances_of_groups),
        folder_test(instances_that_are_none),
        folder_test(shipped_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
