/* Tables from files: values, defaults, overrides, claims, look-ups. */
#include "folder.h"

#include <errno.h>

static const struct config_app *app_of(const struct folder *f, const char *name) {
    const struct config_app *app = config_app_by_name(f->config, name);

    assert_non_null(app);
    return app;
}

static const char *host_of(const struct folder *f, const char *host) {
    const struct config_app *app = config_app_by_host(f->config, host, strlen(host));

    return app != NULL ? app->name : "-";
}

static void nothing_there(void **state) {
    static const struct config_paths nowhere = {"/nonexistent/x.conf", "/nonexistent/apps.d", NULL};
    struct config_errors errors = {0};
    struct config *config = NULL;

    (void)state;
    assert_int_equal(config_load(&nowhere, &errors, &config), 0);
    assert_int_equal(errors.n, 0);
    assert_false(config->broken);
    assert_int_equal(config->n_apps, 0);
    assert_null(config_app_by_name(config, "a"));
    assert_null(config_app_by_host(config, "a", 1));
    assert_null(config_app_by_port(config, 1));
    config_free(config);
    config = NULL;
    assert_int_equal(config_load(&(struct config_paths){0}, &errors, &config), 0);
    config_free(config);
}

static void defaults_built_in(void **state) {
    struct folder *f = *state;
    const struct config_app *app;

    folder_write(f, "dockwake.conf", "");
    folder_write(f, "apps.d/a.ini", "");
    folder_fine(f);
    assert_true(f->config->front.exit_idle == 30 * USEC_PER_SEC);
    assert_true(f->config->front.head_timeout == 15 * USEC_PER_SEC);
    assert_int_equal(f->config->front.head_limit, 16384);
    assert_int_equal(f->config->front.max_connections, 10000);
    assert_string_equal(f->config->engine.docker, "/run/docker.sock");
    assert_int_equal(f->config->n_apps, 1);
    app = app_of(f, "a");
    assert_false(app->broken);
    assert_string_equal(app->container, "a");
    assert_int_equal(app->port, 0);
    assert_null(app->network);
    assert_int_equal(app->address, ADDRESS_AUTO);
    assert_true(app->start_timeout == 60 * USEC_PER_SEC);
    assert_true(app->idle_timeout == 900 * USEC_PER_SEC);
    assert_true(app->stop_timeout == 10 * USEC_PER_SEC);
    assert_int_equal(app->on_failure, ON_FAILURE_STOP);
    assert_int_equal(app->n_hosts, 0);
    assert_int_equal(app->listen_port, 0);
    assert_int_equal(app->check, CHECK_AUTO);
    assert_null(app->health_path);
    assert_int_equal(app->health_port, 0);
    assert_int_equal(app->n_expect, 1);
    assert_int_equal(app->expect[0].low, 200);
    assert_int_equal(app->expect[0].high, 399);
    assert_true(app->interval == 50 * USEC_PER_MSEC);
    assert_true(app->grace == USEC_PER_SEC);
}

static void every_key(void **state) {
    struct folder *f = *state;
    const struct config_app *app;
    char address[PROTO_ADDRESS_TEXT_MAX];

    folder_write(f, "dockwake.conf",
                 "[front]\nexit_idle = 1min\nhead_timeout = 5s\nhead_limit = 64K\n"
                 "max_connections = 77\n"
                 "[engine]\ndocker = unix:///run/podman/podman.sock\n");
    folder_write(f, "apps.d/a.ini",
                 "[app]\ncontainer = the-container\nport = 3000\nnetwork = web_default\n"
                 "address = published\nstart_timeout = 2min\nidle_timeout = 0\n"
                 "stop_timeout = 1min\non_failure = leave\n"
                 "[route]\nhost = A.example.com., b.example.com [::1]\nport = 2222\n"
                 "[health]\ncheck = tcp\npath = /healthz?full=1\nport = 3001\n"
                 "expect = 200, 204 300-302\ninterval = 100ms\ngrace = 1h\n");
    folder_write(f, "apps.d/b.ini", "[app]\naddress = [::1]:8080\n[health]\ncheck = http\n");
    folder_fine(f);
    assert_true(f->config->front.exit_idle == 60 * USEC_PER_SEC);
    assert_true(f->config->front.head_timeout == 5 * USEC_PER_SEC);
    assert_int_equal(f->config->front.head_limit, 65536);
    assert_int_equal(f->config->front.max_connections, 77);
    assert_string_equal(f->config->engine.docker, "/run/podman/podman.sock");
    app = app_of(f, "a");
    assert_string_equal(app->container, "the-container");
    assert_int_equal(app->port, 3000);
    assert_string_equal(app->network, "web_default");
    assert_int_equal(app->address, ADDRESS_PUBLISHED);
    assert_true(app->start_timeout == 120 * USEC_PER_SEC);
    assert_true(app->idle_timeout == 0);
    assert_true(app->stop_timeout == 60 * USEC_PER_SEC);
    assert_int_equal(app->on_failure, ON_FAILURE_LEAVE);
    assert_int_equal(app->n_hosts, 3);
    assert_string_equal(app->hosts[0], "a.example.com");
    assert_string_equal(app->hosts[1], "b.example.com");
    assert_string_equal(app->hosts[2], "[::1]");
    assert_int_equal(app->listen_port, 2222);
    assert_int_equal(app->check, CHECK_TCP);
    assert_string_equal(app->health_path, "/healthz?full=1");
    assert_int_equal(app->health_port, 3001);
    assert_int_equal(app->n_expect, 3);
    assert_int_equal(app->expect[2].high, 302);
    assert_true(app->interval == 100 * USEC_PER_MSEC);
    assert_true(app->grace == 3600 * USEC_PER_SEC);
    app = app_of(f, "b");
    assert_int_equal(app->address, ADDRESS_FIXED);
    proto_address_format(&app->fixed, address);
    assert_string_equal(address, "[::1]:8080");
    assert_string_equal(app->health_path, "/");

    assert_string_equal(host_of(f, "A.EXAMPLE.com"), "a");
    assert_string_equal(host_of(f, "b.example.com."), "a");
    assert_string_equal(host_of(f, "[0::1]"), "a");
    assert_string_equal(host_of(f, "c.example.com"), "-");
    assert_string_equal(host_of(f, ""), "-");
    assert_string_equal(host_of(f, "b.example.com:80"), "-");
    assert_null(config_app_by_host(f->config, "a.example.com\0x", 15));
    assert_string_equal(config_app_by_port(f->config, 2222)->name, "a");
    assert_null(config_app_by_port(f->config, 3000));
}

static void defaults_given(void **state) {
    struct folder *f = *state;

    folder_write(f, "dockwake.conf",
                 "[defaults]\nidle_timeout = 1h\nnetwork = web\npath = /up\naddress = published\n"
                 "on_failure = leave\ncheck = none\nexpect = 204\n");
    folder_write(f, "apps.d/a.ini", "[app]\nidle_timeout = 2h\n[health]\nexpect = 200\n");
    folder_write(f, "apps.d/b.ini", "[app]\nnetwork = other\n");
    folder_fine(f);
    assert_true(app_of(f, "a")->idle_timeout == 7200 * USEC_PER_SEC);
    assert_int_equal(app_of(f, "a")->expect[0].low, 200);
    assert_string_equal(app_of(f, "a")->network, "web");
    assert_string_equal(app_of(f, "a")->health_path, "/up");
    assert_int_equal(app_of(f, "a")->on_failure, ON_FAILURE_LEAVE);
    assert_int_equal(app_of(f, "a")->check, CHECK_NONE);
    assert_true(app_of(f, "b")->idle_timeout == 3600 * USEC_PER_SEC);
    assert_string_equal(app_of(f, "b")->network, "other");
    assert_int_equal(app_of(f, "b")->address, ADDRESS_PUBLISHED);
    assert_int_equal(app_of(f, "b")->expect[0].high, 204);
}

static void defaults_refused(void **state) {
    struct folder *f = *state;
#define NO_DEFAULT " belongs to one app and has no default; put it into the app's own file"

    folder_write(f, "dockwake.conf",
                 "[defaults]\ncontainer = a\nport = 1\nhost = a\naddress = 127.0.0.1:1\n"
                 "docker = /x\n");
    folder_expect(f, "dockwake.conf:2: container:" NO_DEFAULT, "dockwake.conf:3: port:" NO_DEFAULT,
                  "dockwake.conf:4: host:" NO_DEFAULT,
                  "dockwake.conf:5: address: HOST:PORT" NO_DEFAULT,
                  "dockwake.conf:6: unknown key 'docker' in [defaults]");
}

/* One bad value for each way a key can be wrong; all of one file in one run. */
static void bad_values(void **state) {
    struct folder *f = *state;
#define NO_TIME " is not a time; write it like 90s, 15min or 1h 30min"
#define NO_PORT " is not a port (1 to 65535)"
#define NO_NAME                                                                                    \
    " is not a name that Docker has (at most 255 of letters, digits and _.-, a letter or digit "   \
    "first)"
#define NO_HOST " is not a host name or IP address (and has no port)"

    folder_write(f, "dockwake.conf",
                 "[front]\nexit_idle = soon\nhead_timeout = 1ms\nhead_limit = 65K\n"
                 "max_connections = many\nthreads = 4\n[engine]\ndocker = tcp://127.0.0.1:2375\n"
                 "[admin]\nauth = none\n");
    folder_write(f, "apps.d/a.ini",
                 "[app]\ncontainer = a b\nport = 0\nnetwork =\naddress = db:80\n"
                 "start_timeout = 10min 5\nidle_timeout = never\nstop_timeout = 1500ms\n"
                 "on_failure = restart\ndepends_on = db\n"
                 "[route]\nhost = ok.example -x z:80\nport = 99999\nregex = /x\n"
                 "[health]\ncheck = ping\npath = x\nport = http\nexpect = 2xx\n"
                 "interval = 2min\ngrace = 2h\n"
                 "[create]\nimage = x\n");
    folder_expect(
        f, "dockwake.conf:2: exit_idle: 'soon'" NO_TIME,
        "dockwake.conf:3: head_timeout: 1ms is out of range (100ms to 1h)",
        "dockwake.conf:4: head_limit: 65K is out of range (1K to 64K)",
        "dockwake.conf:5: max_connections: 'many' is not a number",
        "dockwake.conf:6: unknown key 'threads' in [front]",
        "dockwake.conf:8: docker: 'tcp://127.0.0.1:2375' is neither unix:///PATH nor an absolute "
        "path",
        "dockwake.conf:9: unknown section [admin]", "apps.d/a.ini:2: container: 'a b'" NO_NAME,
        "apps.d/a.ini:3: port: '0'" NO_PORT, "apps.d/a.ini:4: network: has no value",
        "apps.d/a.ini:5: address: 'db:80' is none of auto, published or HOST:PORT (HOST: an IPv4 "
        "address, an IPv6 address in brackets, or localhost)",
        "apps.d/a.ini:7: idle_timeout: 'never'" NO_TIME,
        "apps.d/a.ini:8: stop_timeout: Docker counts whole seconds here, not 1500ms",
        "apps.d/a.ini:9: on_failure: 'restart' is none of stop, leave",
        "apps.d/a.ini:10: unknown key 'depends_on' in [app]", "apps.d/a.ini:12: host: '-x'" NO_HOST,
        "apps.d/a.ini:12: host: 'z:80'" NO_HOST, "apps.d/a.ini:13: port: '99999'" NO_PORT,
        "apps.d/a.ini:14: unknown key 'regex' in [route]",
        "apps.d/a.ini:16: check: 'ping' is none of auto, docker, http, tcp, none",
        "apps.d/a.ini:17: path: 'x' is not a path (a slash first, no blanks, no #)",
        "apps.d/a.ini:18: port: 'http'" NO_PORT,
        "apps.d/a.ini:19: expect: '2xx' is not a status or range of them (100 to 599, like "
        "200-399)",
        "apps.d/a.ini:20: interval: 2min is out of range (1ms to 1min)",
        "apps.d/a.ini:21: grace: 2h is out of range (0 to 1h)",
        "apps.d/a.ini:22: unknown section [create]");
    assert_true(f->config->broken);
    assert_int_equal(f->config->n_apps, 0);
    assert_null(config_app_by_name(f->config, "a"));
    assert_string_equal(host_of(f, "ok.example"), "-");
}

/* Sections may be repeated, keys may not. */
static void keys_given_twice(void **state) {
    struct folder *f = *state;

    folder_write(f, "dockwake.conf",
                 "[front]\nexit_idle = 1s\n[engine]\n[front]\nexit_idle = 1s\n"
                 "[defaults]\ngrace = 2s\ngrace = 2s\n");
    folder_write(f, "apps.d/a.ini",
                 "[app]\nport = 1\n[route]\nhost = a\nport = 2\n[app]\nport = 1\n"
                 "[route]\nhost = b\n");
    folder_expect(f, "dockwake.conf:5: exit_idle: already given in line 2",
                  "dockwake.conf:8: grace: already given in line 7",
                  "apps.d/a.ini:7: port: already given in line 2",
                  "apps.d/a.ini:9: host: already given in line 4");
}

static void pitfalls_have_file_and_line(void **state) {
    struct folder *f = *state;

    folder_write(f, "dockwake.conf", "exit_idle = 1s\n[front\nexit_idle = 2s\n");
    folder_write(f, "apps.d/a.ini",
                 "port = 1\n[app]\ncontainer = a ; mine\n[route\nhost = a\n[route]\n"
                 "host = b,\n  c\n[Route]\nhost = d\n");
    folder_expect(f, "dockwake.conf:1: key 'exit_idle' before the first [section]",
                  "dockwake.conf:2: '[' without ']'",
                  "apps.d/a.ini:1: key 'port' before the first [section]",
                  "apps.d/a.ini:3: a comment needs a line of its own: what follows ' ;' would be "
                  "cut off",
                  "apps.d/a.ini:4: '[' without ']'",
                  "apps.d/a.ini:8: the line begins with a blank and would be taken for more of "
                  "the value before; begin it in the first column",
                  "apps.d/a.ini:9: unknown section [Route]");
}

static void ranges_at_their_ends(void **state) {
    struct folder *f = *state;

    folder_write(f, "dockwake.conf",
                 "[front]\nhead_limit=1K\nhead_timeout=1h\nmax_connections=1000000\nexit_idle=0\n");
    folder_write(f, "apps.d/a.ini",
                 "[app]\nstart_timeout=1s\nidle_timeout=365d\nstop_timeout=1h\n"
                 "[health]\ninterval=1ms\ngrace=0\n");
    folder_fine(f);
    folder_write(f, "dockwake.conf",
                 "[front]\nhead_limit=1023\nhead_timeout=61min\nmax_connections=1000001\n"
                 "exit_idle=25h\n");
    folder_write(f, "apps.d/a.ini",
                 "[app]\nstart_timeout=999ms\nidle_timeout=366d\nstop_timeout=3601\n"
                 "[health]\ninterval=999us\n");
    folder_expect(f, "dockwake.conf:2: head_limit: 1023 is out of range (1K to 64K)",
                  "dockwake.conf:3: head_timeout: 61min is out of range (100ms to 1h)",
                  "dockwake.conf:4: max_connections: 1000001 is out of range (1 to 1000000)",
                  "dockwake.conf:5: exit_idle: 25h is out of range (0 to 1d)",
                  "apps.d/a.ini:2: start_timeout: 999ms is out of range (1s to 1h)",
                  "apps.d/a.ini:3: idle_timeout: 366d is out of range (0 (never) to 365d)",
                  "apps.d/a.ini:4: stop_timeout: 3601 is out of range (0 to 1h)",
                  "apps.d/a.ini:6: interval: 999us is out of range (1ms to 1min)");
}

static void list_bounds(void **state) {
    struct folder *f = *state;
    char text[2048] = "[route]\nhost =";
    char expect[512] = "[health]\nexpect =";

    for (int i = 0; i < CONFIG_HOSTS_MAX; i++) {
        sprintf(text + strlen(text), " h%d.example", i);
    }
    for (int i = 0; i < CONFIG_EXPECT_MAX; i++) {
        sprintf(expect + strlen(expect), " %d", 200 + i);
    }
    folder_write(f, "apps.d/a.ini", text);
    folder_write(f, "apps.d/b.ini", expect);
    folder_fine(f);
    assert_int_equal(app_of(f, "a")->n_hosts, CONFIG_HOSTS_MAX);
    assert_string_equal(host_of(f, "h63.example"), "a");
    assert_int_equal(app_of(f, "b")->expect[CONFIG_EXPECT_MAX - 1].low, 215);
    strcat(text, " x");
    strcat(expect, " 404");
    folder_write(f, "apps.d/a.ini", text);
    folder_write(f, "apps.d/b.ini", expect);
    folder_write(f, "apps.d/c.ini", "[route]\nhost = ,,\n[health]\nexpect = ,\n");
    folder_expect(f, "apps.d/a.ini:2: host: 65 entries where 1 to 64 are possible",
                  "apps.d/b.ini:2: expect: more than 16 ranges",
                  "apps.d/c.ini:2: host: 0 entries where 1 to 64 are possible",
                  "apps.d/c.ini:4: expect: has no value");
}

static void broken_app_is_a_signpost(void **state) {
    struct folder *f = *state;

    folder_write(f, "apps.d/a.ini", "[app]\nport = x\n[route]\nhost = a.example\nport = 2222\n");
    folder_write(f, "apps.d/b.ini", "[route]\nhost = b.example\n");
    folder_expect(f, "apps.d/a.ini:2: port: 'x'" NO_PORT);
    assert_false(f->config->broken);
    assert_int_equal(f->config->n_apps, 2);
    assert_true(app_of(f, "a")->broken);
    assert_false(app_of(f, "b")->broken);
    assert_string_equal(host_of(f, "a.example"), "a");
    assert_string_equal(host_of(f, "b.example"), "b");
    assert_string_equal(config_app_by_port(f->config, 2222)->name, "a");
}

static void two_claim_the_same(void **state) {
    struct folder *f = *state;
    char first[256];
    char second[256];

    folder_write(f, "apps.d/a.ini", "[route]\nhost = x.example\n\nport = 2222\n");
    folder_write(f, "apps.d/b.ini", "[route]\nport = 2222\nhost = y.example X.Example. q q\n");
    snprintf(first, sizeof(first), "apps.d/b.ini:2: port 2222 is already claimed by %s/a.ini:4",
             f->apps);
    snprintf(second, sizeof(second),
             "apps.d/b.ini:3: host 'x.example' is already claimed by %s/a.ini:2", f->apps);
    folder_expect(f, first, second, "apps.d/b.ini:3: host 'q' is given twice");
    assert_false(app_of(f, "a")->broken);
    assert_true(app_of(f, "b")->broken);
    assert_string_equal(host_of(f, "x.example"), "a");
    assert_string_equal(host_of(f, "y.example"), "b");
    assert_string_equal(config_app_by_port(f->config, 2222)->name, "a");
}

static void apps_may_share_a_container(void **state) {
    struct folder *f = *state;

    folder_write(f, "apps.d/gitea.ini", "[app]\nport = 3000\n[route]\nhost = git.example\n");
    folder_write(f, "apps.d/gitea-ssh.ini",
                 "[app]\ncontainer = gitea\nport = 22\n[route]\nport = 2222\n");
    folder_fine(f);
    assert_string_equal(f->config->apps[0]->name, "gitea");
    assert_string_equal(f->config->apps[1]->name, "gitea-ssh");
}

static void fixed_address_and_port(void **state) {
    struct folder *f = *state;

    folder_write(f, "apps.d/a.ini", "[app]\nport = 80\naddress = 127.0.0.1:8080\n");
    folder_expect(f, "apps.d/a.ini:2: port: has no effect beside address = HOST:PORT");
}

static void vendor_files(void **state) {
    struct folder *f = *state;
    char mask[256];

    folder_write(f, "vendor/a.ini", "[app]\nport = 1\n");
    folder_write(f, "vendor/b.ini", "[app]\nport = 1\n[route]\nhost = b.example\n");
    folder_write(f, "vendor/c.ini", "rubbish\n");
    folder_write(f, "vendor/d.ini", "rubbish\n");
    folder_write(f, "apps.d/b.ini", "[app]\nport = 2\n");
    folder_write(f, "apps.d/d.ini", "");
    snprintf(mask, sizeof(mask), "%s/c.ini", f->apps);
    assert_int_equal(symlink("/dev/null", mask), 0);
    folder_fine(f);
    assert_int_equal(f->config->n_apps, 3);
    assert_int_equal(app_of(f, "a")->port, 1);
    assert_int_equal(app_of(f, "b")->port, 2);
    assert_string_equal(host_of(f, "b.example"), "-");
    assert_null(config_app_by_name(f->config, "c"));
    assert_string_equal(app_of(f, "d")->container, "d");
    assert_int_equal(unlink(mask), 0);
    folder_expect(f, "vendor/c.ini:1: neither '[section]' nor 'key = value'");
}

static void what_is_not_an_app(void **state) {
    struct folder *f = *state;
    char path[256];

    folder_write(f, "apps.d/.hidden.ini", "rubbish\n");
    folder_write(f, "apps.d/.ini", "rubbish\n");
    folder_write(f, "apps.d/README", "rubbish\n");
    folder_write(f, "apps.d/a.ini~", "rubbish\n");
    folder_write(f, "apps.d/a.ini.dpkg-old", "rubbish\n");
    folder_write(f, "apps.d/a.INI", "rubbish\n");
    snprintf(path, sizeof(path), "%s/fifo.ini", f->apps);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/folder.ini", f->apps);
    assert_int_equal(mkdir(path, 0700), 0);
    folder_write(f, "vendor/folder.ini", "");
    folder_fine(f);
    assert_int_equal(f->config->n_apps, 1);
    app_of(f, "folder");
}

static void names_of_files(void **state) {
    struct folder *f = *state;
#define NO_APP                                                                                     \
    "the file's name is no app's name (at most 63 of letters, digits and _.-, a letter or digit "  \
    "first; a template has @ behind it)"
#define NAME62 "23456789-123456789-123456789-123456789-123456789-123456789-123"
#define NAME63 "a" NAME62

    folder_write(f, "apps.d/" NAME63 ".ini", "");
    folder_write(f, "apps.d/" NAME63 "4.ini", "");
    folder_write(f, "apps.d/b" NAME62 "@.ini", "");
    folder_write(f, "apps.d/b" NAME62 "4@.ini", "");
    folder_write(f, "apps.d/-a.ini", "");
    folder_write(f, "apps.d/@.ini", "");
    folder_write(f, "apps.d/a@b.ini", "");
    folder_write(f, "apps.d/a@@.ini", "");
    folder_expect(f, "apps.d/@.ini:0: " NO_APP, "apps.d/-a.ini:0: " NO_APP,
                  "apps.d/" NAME63 "4.ini:0: " NO_APP, "apps.d/a@@.ini:0: " NO_APP,
                  "apps.d/a@b.ini:0: " NO_APP, "apps.d/b" NAME62 "4@.ini:0: " NO_APP);
    assert_int_equal(f->config->n_apps, 2);
    assert_false(app_of(f, NAME63)->is_template);
    assert_true(app_of(f, "b" NAME62)->is_template);
}

/* The table is in the order of the apps' names, in which `a` comes before `a-b`, with an @ or not. */
static void templates_are_in_order(void **state) {
    struct folder *f = *state;
    static const char *const names[] = {"a", "a-b", "a.b", "a0", "aa"};
    char error[256];

    folder_write(f, "apps.d/a@.ini", "");
    folder_write(f, "apps.d/a-b.ini", "");
    folder_write(f, "apps.d/a.b.ini", "");
    folder_write(f, "apps.d/a0@.ini", "");
    folder_write(f, "apps.d/aa.ini", "");
    folder_write(f, "vendor/a@.ini", "rubbish\n");
    folder_fine(f);
    assert_int_equal(f->config->n_apps, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_string_equal(f->config->apps[i]->name, names[i]);
    }
    folder_write(f, "vendor/a.ini", "");
    snprintf(error, sizeof(error),
             "apps.d/a@.ini:0: there is an app of this name already, %s/a.ini", f->vendor);
    folder_expect(f, error);
    assert_int_equal(f->config->n_apps, ARRAY_SIZE(names));
    assert_false(app_of(f, "a")->is_template);
}

static void files_that_cannot_be_read(void **state) {
    struct folder *f = *state;
    char path[256];

    snprintf(path, sizeof(path), "%s/a.ini", f->apps);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(mkdir(f->file, 0700), 0);
    folder_expect(f, "dockwake.conf:0: not a regular file",
                  "apps.d/a.ini:0: cannot be read: No such file or directory");
    assert_true(f->config->broken);

    /* A folder that is none is the only thing that leaves no table. */
    f->paths.apps = "/dev/null";
    config_free(f->config);
    f->config = NULL;
    assert_int_equal(config_load(&f->paths, &f->errors, &f->config), -ENOTDIR);
    assert_null(f->config);
}

static void file_bound(void **state) {
    struct folder *f = *state;
    static char text[CONFIG_FILE_MAX + 1];

    memset(text, '\n', sizeof(text));
    memcpy(text, "[app]\n", 6);
    folder_write_bytes(f, "apps.d/a.ini", text, sizeof(text) - 1);
    folder_fine(f);
    folder_write_bytes(f, "apps.d/a.ini", text, sizeof(text));
    folder_write_bytes(f, "dockwake.conf", text, sizeof(text));
    folder_expect(f, "dockwake.conf:0: larger than 65536 bytes",
                  "apps.d/a.ini:0: larger than 65536 bytes");
}

static void errors_bound(void **state) {
    struct folder *f = *state;
    static char text[16000];

    text[0] = '\0';
    for (int i = 0; i < CONFIG_ERRORS_MAX + 5; i++) {
        memcpy(text + i * 2, "x\n", 3);
    }
    folder_write(f, "apps.d/a.ini", text);
    assert_int_equal(config_load(&f->paths, &f->errors, &f->config), 0);
    assert_int_equal(f->errors.n, CONFIG_ERRORS_MAX);
    assert_int_equal(f->errors.dropped, 5);
    assert_int_equal(f->errors.items[CONFIG_ERRORS_MAX - 1].line, CONFIG_ERRORS_MAX);
    assert_true(app_of(f, "a")->broken);
}

static void ten_thousand_apps(void **state) {
    struct folder *f = *state;
    enum { N = 10000 };
    char name[64];
    char text[256];
    usec_t begin;

    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "apps.d/app%d.ini", i);
        snprintf(text, sizeof(text),
                 "[app]\ncontainer = c%d\nport = 3000\n[route]\nhost = app%d.example.com\n", i, i);
        folder_write(f, name, text);
    }
    begin = now_usec(CLOCK_MONOTONIC);
    folder_fine(f);
    print_message("# %d apps loaded in %llu ms\n", N,
                  (unsigned long long)((now_usec(CLOCK_MONOTONIC) - begin) / 1000));
    assert_int_equal(f->config->n_apps, N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "app%d", i);
        snprintf(text, sizeof(text), "APP%d.example.com", i);
        assert_string_equal(host_of(f, text), name);
        snprintf(text, sizeof(text), "c%d", i);
        assert_string_equal(app_of(f, name)->container, text);
    }
    for (size_t i = 1; i < f->config->n_apps; i++) {
        assert_true(strcmp(f->config->apps[i - 1]->name, f->config->apps[i]->name) < 0);
    }
}

static void paths(void **state) {
    char file[4096];
    char apps[4096];
    static char longest[4090];
    struct config_paths p;

    (void)state;
    assert_int_equal(config_paths_init(NULL, file, apps, &p), 0);
    assert_string_equal(p.file, CONFIG_FILE);
    assert_string_equal(p.apps, CONFIG_APPS);
    assert_string_equal(p.vendor_apps, CONFIG_VENDOR_APPS);
    assert_int_equal(config_paths_init("/x", file, apps, &p), 0);
    assert_string_equal(p.file, "/x/dockwake.conf");
    assert_string_equal(p.apps, "/x/apps.d");
    assert_null(p.vendor_apps);
    assert_int_equal(config_paths_init("", file, apps, &p), -EINVAL);
    memset(longest, 'a', sizeof(longest) - 1);
    assert_int_equal(config_paths_init(longest, file, apps, &p), -ENAMETOOLONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_there),
        folder_test(defaults_built_in),
        folder_test(every_key),
        folder_test(defaults_given),
        folder_test(defaults_refused),
        folder_test(bad_values),
        folder_test(keys_given_twice),
        folder_test(pitfalls_have_file_and_line),
        folder_test(ranges_at_their_ends),
        folder_test(list_bounds),
        folder_test(broken_app_is_a_signpost),
        folder_test(two_claim_the_same),
        folder_test(apps_may_share_a_container),
        folder_test(fixed_address_and_port),
        folder_test(vendor_files),
        folder_test(what_is_not_an_app),
        folder_test(names_of_files),
        folder_test(templates_are_in_order),
        folder_test(files_that_cannot_be_read),
        folder_test(file_bound),
        folder_test(errors_bound),
        folder_test(ten_thousand_apps),
        cmocka_unit_test(paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
