/* What the engine API's answers say, in the forms of several daemons, and what is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "docker_json.h"
#include "util.h"

static int inspect(const char *json, const char *network, uint16_t port,
                   struct docker_container *ret_container) {
    return docker_parse_inspect(json, strlen(json), network, port, ret_container);
}

static void assert_address(const struct proto_address *address, const char *expected) {
    char text[PROTO_ADDRESS_TEXT_MAX];

    proto_address_format(address, text);
    assert_string_equal(text, expected);
}

/* Docker 20.10: the top-level IPAddress beside Networks. */
static const char docker_20[] =
    "{\"Id\":\"4fa6\",\"State\":{\"Status\":\"running\",\"ExitCode\":0,\"OOMKilled\":false,"
    "\"Health\":{\"Status\":\"starting\"}},\"Config\":{\"ExposedPorts\":{\"53/udp\":{},\"80/"
    "tcp\":{}}},"
    "\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"IPAddress\":\"172.17.0."
    "2\","
    "\"Ports\":{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},"
    "{\"HostIp\":\"::\",\"HostPort\":\"8080\"}],\"53/udp\":null},"
    "\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"},"
    "\"back\":{\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd00::2\"}}}}";

static void docker_20_10(void **state) {
    struct docker_container c;

    (void)state;
    assert_int_equal(inspect(docker_20, NULL, 0, &c), 0);
    assert_int_equal(c.status, DOCKER_RUNNING);
    assert_int_equal(c.health, DOCKER_HEALTH_STARTING);
    assert_int_equal(c.exposed_port, 80);
    assert_address(&c.address, "172.17.0.2:0");
    assert_address(&c.published, "127.0.0.1:8080");
    assert_int_equal(inspect(docker_20, "back", 80, &c), 0);
    assert_address(&c.address, "[fd00::2]:0");
    assert_int_equal(inspect(docker_20, "elsewhere", 81, &c), 0);
    assert_address(&c.address, "-");
    assert_address(&c.published, "-");
}

/* Docker 29, API 1.52: no top-level address; two exposed ports are none. */
static void docker_29(void **state) {
    static const char json[] =
        "{\"Id\":\"4fa6\",\"State\":{\"Status\":\"exited\",\"ExitCode\":137,\"OOMKilled\":true},"
        "\"Config\":{\"ExposedPorts\":{\"80/tcp\":{},\"22/tcp\":{}}},\"HostConfig\":{},"
        "\"NetworkSettings\":{\"Ports\":{},\"Networks\":{\"n\":{\"IPAddress\":\"10.1.2.3\"}}}}";
    struct docker_container c;

    (void)state;
    assert_int_equal(inspect(json, NULL, 0, &c), 0);
    assert_int_equal(c.status, DOCKER_EXITED);
    assert_int_equal(c.exit_code, 137);
    assert_true(c.oom_killed);
    assert_int_equal(c.health, DOCKER_HEALTH_NONE);
    assert_int_equal(c.exposed_port, 0);
    assert_address(&c.address, "10.1.2.3:0");
}

static void podman_and_host_network(void **state) {
    static const char json[] =
        "{\"Id\":\"4fa6\",\"State\":{\"Status\":\"stopped\",\"Healthcheck\":{\"Status\":"
        "\"healthy\"}},"
        "\"HostConfig\":{\"NetworkMode\":\"host\"},\"NetworkSettings\":{\"Networks\":{}}}";
    struct docker_container c;

    (void)state;
    assert_int_equal(inspect(json, NULL, 0, &c), 0);
    assert_int_equal(c.status, DOCKER_EXITED);
    assert_int_equal(c.health, DOCKER_HEALTH_HEALTHY);
    assert_address(&c.address, "127.0.0.1:0");
}

static void what_is_no_inspection(void **state) {
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"State\":\"running\"}",
        "{\"Id\":\"a\",\"State\":{}}",
        "{\"Id\":\"a\",\"State\":{\"Status\":\"dreaming\"}}",
        "{\"Id\":\"a\",\"State\":{\"Status\":\"running\"},\"State\":{\"Status\":\"exited\"}}",
        "{\"Id\":\"a\",\"State\":{\"Status\":\"running\"}",
        "{\"Id\":\"0123456789012345678901234567890123456789012345678901234567890123456789abc\","
        "\"State\":{\"Status\":\"running\"}}",
    };
    struct docker_container c = {.exit_code = 42};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(inspect(bad[i], NULL, 0, &c), -EBADMSG);
    assert_int_equal(c.exit_code, 42); /* untouched */
    /* Odd members are as if they were missing. */
    assert_int_equal(inspect("{\"Id\":\"a\",\"State\":{\"Status\":\"running\",\"ExitCode\":\"x\"},"
                             "\"NetworkSettings\":{\"Networks\":[1],\"Ports\":{\"80/tcp\":[7]}}}",
                             NULL, 80, &c),
                     0);
    assert_address(&c.address, "-");
}

struct seen {
    char text[256];
};

static int note(void *userdata, const struct docker_listed *listed) {
    struct seen *seen = userdata;
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%d%s ", listed->name,
             (int)listed->status, listed->label);
    return strcmp(listed->name, "stop") == 0 ? -ECANCELED : 0;
}

static void listing(void **state) {
    static const char json[] =
        "[{\"Names\":[\"/a\",\"/b/alias\"],\"State\":\"running\"},{\"Names\":[\"/"
        "c\"],\"State\":\"dead\"},"
        "{\"Names\":[\"/new\"],\"State\":\"tomorrow\"},{\"Names\":[],\"State\":\"exited\"},"
        "{\"Names\":[\"/"
        "d\"],\"State\":\"paused\",\"Labels\":{\"a\":\"b\",\"dockwake.app\":\"web\"}},"
        "{\"Names\":[\"/e\"],\"State\":\"exited\",\"Labels\":{\"dockwake.app\":7}}]";
    static const char stop[] = "[{\"Names\":[\"/stop\",\"/x\"],\"State\":\"paused\"}]";
    struct seen seen = {""};

    (void)state;
    assert_int_equal(docker_parse_list(json, strlen(json), note, &seen), 0);
    assert_string_equal(seen.text, "a=1 c=6 d=2web e=5 ");
    assert_int_equal(docker_parse_list(stop, strlen(stop), note, &seen), -ECANCELED);
    assert_int_equal(docker_parse_list("{}", 2, note, &seen), -EBADMSG);
    assert_int_equal(docker_parse_list("[{\"Names\":[1],\"State\":\"dead\"}]", 31, note, &seen),
                     -EBADMSG);
}

static void events(void **state) {
    static const char health[] =
        "{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":\"1\","
        "\"Attributes\":{\"name\":\"web\",\"image\":\"i\"}},\"status\":\"x\",\"time\":1}";
    static const char rename[] = "{\"Type\":\"container\",\"Action\":\"rename\",\"Actor\":{"
                                 "\"Attributes\":{\"name\":\"new\",\"oldName\":\"/old\"}}}";
    static const char network[] = "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{}}";
    static const char start[] =
        "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"Attributes\":{"
        "\"name\":\"minion-1\",\"dockwake.app\":\"web\"}}}";
    struct docker_event e;
    char exec[400];

    (void)state;
    assert_int_equal(docker_parse_event(health, strlen(health), &e), 0);
    assert_string_equal(e.action, "health_status: healthy");
    assert_string_equal(e.name, "web");
    assert_string_equal(e.label, "");
    assert_int_equal(docker_parse_event(start, strlen(start), &e), 0);
    assert_string_equal(e.label, "web");
    assert_int_equal(docker_parse_event(rename, strlen(rename), &e), 0);
    assert_string_equal(e.name, "new");
    assert_string_equal(e.old_name, "old");
    assert_int_equal(docker_parse_event(network, strlen(network), &e), 0);
    assert_string_equal(e.action, "");
    snprintf(exec, sizeof(exec), "{\"Type\":\"container\",\"Action\":\"exec_create: %0200d\"}", 1);
    assert_int_equal(docker_parse_event(exec, strlen(exec), &e), 0);
    assert_string_equal(e.action, "");
    assert_int_equal(docker_parse_event("[1]", 3, &e), -EBADMSG);
    assert_int_equal(docker_parse_event("{", 1, &e), -EBADMSG);
}

static void labels_and_terminals(void **state) {
    struct docker_container c;
    char json[512];

    (void)state;
    assert_int_equal(inspect(docker_20, NULL, 0, &c), 0);
    assert_string_equal(c.label, "");
    assert_false(c.tty);
    assert_int_equal(c.started, 0);
    assert_int_equal(
        inspect("{\"Id\":\"a\",\"State\":{\"Status\":\"exited\"},\"Config\":{\"Tty\":true,"
                "\"Labels\":{\"dockwake.app\":\"web\",\"dockwake.apps\":\"x\"}}}",
                NULL, 0, &c),
        0);
    assert_string_equal(c.label, "web");
    assert_true(c.tty);
    /* The longest that could be a name of ours, and one that is longer. */
    for (int n = PROTO_NAME_MAX - 1; n <= PROTO_NAME_MAX; n++) {
        snprintf(json, sizeof(json),
                 "{\"Id\":\"a\",\"State\":{\"Status\":\"exited\"},\"Config\":{\"Labels\":{"
                 "\"dockwake.app\":\"%0*d\"}}}",
                 n, 1);
        assert_int_equal(inspect(json, NULL, 0, &c), 0);
        assert_int_equal(strlen(c.label), n < PROTO_NAME_MAX ? n : 0);
    }
}

static void starts(void **state) {
    static const struct {
        const char *said;
        usec_t expected;
    } cases[] = {
        {"2026-11-23T03:40:50.123456789Z", 1795405250123456},
        {"2026-11-23T03:40:50Z", 1795405250000000},
        {"2026-11-23T03:40:50.5Z", 1795405250500000},
        {"2026-11-23T03:40:50.12345678901234Z", 1795405250123456},
        {"2026-11-23T05:40:50.000000001+02:00", 1795405250000000},
        {"2026-11-22T22:10:50-05:30", 1795405250000000},
        {"0001-01-01T00:00:00Z", 0},
        {"2026-11-23T03:40:50", 0},
        {"2026-11-23T03:40:50Zulu", 0},
        {"2026-11-23", 0},
        {"yesterday", 0},
        {"", 0},
    };
    struct docker_container c;
    char json[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(json, sizeof(json),
                 "{\"Id\":\"a\",\"State\":{\"Status\":\"running\",\"StartedAt\":\"%s\"}}",
                 cases[i].said);
        assert_int_equal(inspect(json, NULL, 0, &c), 0);
        assert_int_equal(c.started, cases[i].expected);
    }
}

static void messages(void **state) {
    char said[DOCKER_MESSAGE_MAX], html[1000];

    (void)state;
    docker_parse_message("{\"message\":\"no\\nway\"}", 21, said);
    assert_string_equal(said, "no way");
    memset(html, 'x', sizeof(html) - 1);
    html[sizeof(html) - 1] = '\0';
    docker_parse_message(html, strlen(html), said);
    assert_int_equal(strlen(said), DOCKER_MESSAGE_MAX - 1);
    docker_parse_message("", 0, said);
    assert_string_equal(said, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_20_10),
        cmocka_unit_test(docker_29),
        cmocka_unit_test(podman_and_host_network),
        cmocka_unit_test(what_is_no_inspection),
        cmocka_unit_test(listing),
        cmocka_unit_test(events),
        cmocka_unit_test(labels_and_terminals),
        cmocka_unit_test(starts),
        cmocka_unit_test(messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
