/* docker_json.c - see docker_json.h. */
#include "docker_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void json_cleanup(json_t **json) {
    json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_cleanup)))

static json_t *parse(const char *text, size_t size) {
    return json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
}

/* "" where it is missing or not a string: json_object_get(3) and json_string_value(3) take NULL. */
static const char *string_at(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));

    return value ? value : "";
}

static int copy(char *to, size_t size, const char *from) {
    size_t length = strlen(from);

    if (length >= size)
        return -EBADMSG;
    memcpy(to, from, length + 1);
    return 0;
}

static int status_from_text(const char *text, enum docker_status *ret_status) {
    static const char *const names[] = {
        [DOCKER_CREATED] = "created",   [DOCKER_RUNNING] = "running",
        [DOCKER_PAUSED] = "paused",     [DOCKER_RESTARTING] = "restarting",
        [DOCKER_REMOVING] = "removing", [DOCKER_EXITED] = "exited",
        [DOCKER_DEAD] = "dead",
    };
    /* Podman's own words, where its compatible API lets them through. */
    static const struct {
        const char *name;
        enum docker_status status;
    } more[] = {
        {"configured", DOCKER_CREATED},
        {"initialized", DOCKER_CREATED},
        {"stopped", DOCKER_EXITED},
        {"stopping", DOCKER_RUNNING},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret_status = (enum docker_status)i;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_SIZE(more); i++)
        if (strcmp(text, more[i].name) == 0) {
            *ret_status = more[i].status;
            return 0;
        }
    return -EBADMSG;
}

static enum docker_health health_from_text(const char *text) {
    if (strcmp(text, "starting") == 0)
        return DOCKER_HEALTH_STARTING;
    if (strcmp(text, "healthy") == 0)
        return DOCKER_HEALTH_HEALTHY;
    if (strcmp(text, "unhealthy") == 0)
        return DOCKER_HEALTH_UNHEALTHY;
    return DOCKER_HEALTH_NONE;
}

static bool address_from_text(const char *text, uint16_t port, struct proto_address *ret_address) {
    struct proto_address address = {.port = htons(port)};

    if (inet_pton(AF_INET, text, address.ip) == 1)
        address.family = AF_INET;
    else if (inet_pton(AF_INET6, text, address.ip) == 1)
        address.family = AF_INET6;
    else
        return false;
    *ret_address = address;
    return true;
}

/* "8080/tcp" and nothing else. */
static uint16_t tcp_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    return end != text && port <= UINT16_MAX && strcmp(end, "/tcp") == 0 ? (uint16_t)port : 0;
}

static uint16_t exposed_port(const json_t *ports) {
    void *i = json_object_iter((json_t *)ports);
    uint16_t found = 0;

    for (; i; i = json_object_iter_next((json_t *)ports, i)) {
        uint16_t port = tcp_port(json_object_iter_key(i));

        if (port == 0)
            continue;
        if (found)
            return 0;
        found = port;
    }
    return found;
}

/* NetworkSettings.Networks: in the daemon's order, the one named or the first with an address. */
static void find_address(const json_t *networks, const char *wanted,
                         struct proto_address *ret_address) {
    const char *name;
    json_t *network;

    json_object_foreach ((json_t *)networks, name, network) {
        if (wanted && strcmp(wanted, name) != 0)
            continue;
        if (address_from_text(string_at(network, "IPAddress"), 0, ret_address) ||
            address_from_text(string_at(network, "GlobalIPv6Address"), 0, ret_address))
            return;
    }
}

/* NetworkSettings.Ports["8080/tcp"][0]; one that is bound to all addresses is reached on loopback.
 */
static void find_published(const json_t *ports, uint16_t port, struct proto_address *ret_address) {
    char key[16];
    const json_t *binding;
    const char *ip;
    unsigned long published;

    snprintf(key, sizeof(key), "%u/tcp", port);
    binding = json_array_get(json_object_get(ports, key), 0);
    published = strtoul(string_at(binding, "HostPort"), NULL, 10);
    if (published == 0 || published > UINT16_MAX)
        return;
    ip = string_at(binding, "HostIp");
    if (*ip == '\0' || strcmp(ip, "0.0.0.0") == 0)
        ip = "127.0.0.1";
    else if (strcmp(ip, "::") == 0)
        ip = "::1";
    address_from_text(ip, (uint16_t)published, ret_address);
}

/* A label that is longer than any name of ours is none of ours. */
static void copy_label(const json_t *labels, char ret_label[static PROTO_NAME_MAX]) {
    if (copy(ret_label, PROTO_NAME_MAX, string_at(labels, DOCKER_LABEL)) < 0)
        ret_label[0] = '\0';
}

/* The microseconds behind a second, of any number of digits; moves *text behind them. */
static usec_t parse_fraction(const char **text) {
    usec_t usec = 0, unit = USEC_PER_SEC / 10;

    if (**text != '.')
        return 0;
    for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
        usec += (usec_t)(**text - '0') * unit;
    return usec;
}

/* A moment as Go writes it (RFC 3339). 0 for one before 1970: Docker says year 1 for never. */
static usec_t parse_time(const char *text) {
    struct tm tm = {0}, zone = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    usec_t fraction;
    time_t seconds;

    if (!rest)
        return 0;
    fraction = parse_fraction(&rest);
    rest = strptime(rest, "%z", &zone);
    if (!rest || *rest != '\0')
        return 0;
    seconds = timegm(&tm) - zone.tm_gmtoff;
    return seconds > 0 ? (usec_t)seconds * USEC_PER_SEC + fraction : 0;
}

int docker_parse_inspect(const char *text, size_t size, const char *network, uint16_t port,
                         struct docker_container *ret_container) {
    auto_json json_t *json = parse(text, size);
    struct docker_container c = {.health = DOCKER_HEALTH_NONE};
    const json_t *state = json_object_get(json, "State"), *health;
    const json_t *config = json_object_get(json, "Config");
    const json_t *settings = json_object_get(json, "NetworkSettings");
    const json_t *networks = json_object_get(settings, "Networks");
    const char *mode = string_at(json_object_get(json, "HostConfig"), "NetworkMode");

    if (!json || !json_is_object(state))
        return -EBADMSG;
    if (copy(c.id, sizeof(c.id), string_at(json, "Id")) < 0 ||
        status_from_text(string_at(state, "Status"), &c.status) < 0)
        return -EBADMSG;
    health = json_object_get(state, "Health");
    if (!json_is_object(health))
        health = json_object_get(state, "Healthcheck"); /* Podman */
    c.health = health_from_text(string_at(health, "Status"));
    c.exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
    c.oom_killed = json_is_true(json_object_get(state, "OOMKilled"));
    c.exposed_port = exposed_port(json_object_get(config, "ExposedPorts"));
    c.tty = json_is_true(json_object_get(config, "Tty"));
    copy_label(json_object_get(config, "Labels"), c.label);
    c.started = parse_time(string_at(state, "StartedAt"));

    find_address(networks, network, &c.address);
    /* In the host's network its ports are this machine's. */
    if (c.address.family == AF_UNSPEC && strcmp(mode, "host") == 0)
        address_from_text("127.0.0.1", 0, &c.address);
    find_published(json_object_get(settings, "Ports"), port ? port : c.exposed_port, &c.published);

    *ret_container = c;
    return 0;
}

int docker_parse_list(const char *text, size_t size,
                      int (*each)(void *userdata, const struct docker_listed *listed),
                      void *userdata) {
    auto_json json_t *json = parse(text, size);
    const json_t *container, *name;
    size_t i, j;

    if (!json_is_array(json))
        return -EBADMSG;
    json_array_foreach (json, i, container) {
        struct docker_listed listed = {
            .label = string_at(json_object_get(container, "Labels"), DOCKER_LABEL),
        };

        if (status_from_text(string_at(container, "State"), &listed.status) < 0)
            continue; /* a state of tomorrow, of a container that may not even be ours */
        json_array_foreach (json_object_get(container, "Names"), j, name) {
            const char *s = json_string_value(name);
            int r;

            if (!s)
                return -EBADMSG;
            if (*s == '/')
                s++;
            if (strchr(s, '/')) /* a link's alias: "/other/alias" */
                continue;
            listed.name = s;
            r = each(userdata, &listed);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int docker_parse_event(const char *text, size_t size, struct docker_event *ret_event) {
    auto_json json_t *json = parse(text, size);
    const json_t *attributes = json_object_get(json_object_get(json, "Actor"), "Attributes");
    struct docker_event event = {.action = ""};
    const char *action = string_at(json, "Action"), *old_name = string_at(attributes, "oldName");

    if (!json_is_object(json))
        return -EBADMSG;
    if (strcmp(string_at(json, "Type"), "container") == 0) {
        /* exec_create carries a command line of any length: an action to be ignored, not an error.
         */
        if (copy(event.action, sizeof(event.action), action) < 0)
            return *ret_event = (struct docker_event){.action = ""}, 0;
        if (*old_name == '/')
            old_name++;
        if (copy(event.name, sizeof(event.name), string_at(attributes, "name")) < 0 ||
            copy(event.old_name, sizeof(event.old_name), old_name) < 0)
            return -EBADMSG;
        copy_label(attributes, event.label);
    }
    *ret_event = event;
    return 0;
}

void docker_parse_message(const char *text, size_t size, char ret_text[static DOCKER_MESSAGE_MAX]) {
    auto_json json_t *json = parse(text, size);
    const char *message = string_at(json, "message");

    if (*message == '\0')
        message = text;
    snprintf(ret_text, DOCKER_MESSAGE_MAX, "%s", message);
    for (char *c = ret_text; *c; c++) /* one line in a log and in an answer */
        if ((unsigned char)*c < ' ')
            *c = ' ';
}
