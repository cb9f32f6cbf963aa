/* Timeouts in order, tasks after the batch, and sources that end in the middle of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "activation.h"
#include "loop.h"

/* --- timeouts ------------------------------------------------------------------------------------ */

struct wait {
    struct timeout timeout;
    char name;
};

static char expired[16];
static struct timeout_queue queue;

static void on_expired(struct timeout *timeout) {
    struct wait *wait = container_of(timeout, struct wait, timeout);

    strncat(expired, &wait->name, 1);
    if (wait->name == 'r') {
        timeout_arm(&queue, timeout, timeout->at); /* due again at once */
    }
}

static void timeouts_in_order(void **state) {
    struct wait a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};

    (void)state;
    expired[0] = '\0';
    timeout_queue_init(&queue, on_expired);
    assert_true(timeout_queue_next(&queue) == USEC_INFINITY);
    timeout_arm(&queue, &a.timeout, 10);
    timeout_arm(&queue, &b.timeout, 20);
    timeout_arm(&queue, &c.timeout, 5); /* shorter than those before it */
    timeout_arm(&queue, &d.timeout, 20);
    assert_int_equal(timeout_queue_next(&queue), 5);
    timeout_queue_run(&queue, 4);
    assert_string_equal(expired, "");
    timeout_queue_run(&queue, 10);
    assert_string_equal(expired, "ca");
    assert_false(timeout_armed(&a.timeout));
    timeout_arm(&queue, &b.timeout, 30); /* anew */
    timeout_cancel(&a.timeout);
    timeout_queue_run(&queue, 30);
    assert_string_equal(expired, "cadb");
    assert_true(timeout_queue_next(&queue) == USEC_INFINITY);
}

static void timeout_rearmed(void **state) {
    struct wait r = {.name = 'r'};

    (void)state;
    expired[0] = '\0';
    timeout_queue_init(&queue, on_expired);
    timeout_arm(&queue, &r.timeout, 1);
    timeout_queue_run(&queue, 1);
    assert_string_equal(expired, "r");
    timeout_queue_run(&queue, 1);
    assert_string_equal(expired, "rr");
    timeout_cancel(&r.timeout);
}

/* --- waits that differ in length ----------------------------------------------------------------- */

enum { NODES = 300, STEPS = 60000 };

struct node {
    struct timeout_node node;
    usec_t at; /* the model: 0 is not armed */
};

static struct node nodes[NODES];
static struct timeout_heap heap;
static usec_t ran_at, last_expired;
static unsigned n_expired;

static uint32_t random_below(uint32_t n) {
    static uint64_t seed = 88172645463325252U;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static void arm(struct node *node, usec_t at) {
    node->at = at;
    timeout_heap_arm(&heap, &node->node, at);
}

static void cancel(struct node *node) {
    node->at = 0;
    timeout_heap_cancel(&node->node);
}

static usec_t model_next(void) {
    usec_t first = USEC_INFINITY;

    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(nodes[i].at != 0, nodes[i].node.heap != NULL);
        if (nodes[i].at != 0 && nodes[i].at < first) {
            first = nodes[i].at;
        }
    }
    return first;
}

/* Those that expire do to the others, and to themselves, what a connection may do. */
static void on_node(struct timeout_node *node) {
    struct node *self = container_of(node, struct node, node);
    struct node *other = &nodes[random_below(NODES)];

    assert_null(node->heap);
    assert_true(self->at != 0 && self->at <= ran_at);
    assert_true(self->at >= last_expired);
    last_expired = self->at;
    self->at = 0;
    n_expired++;
    switch (random_below(4)) {
    case 0:
        cancel(other);
        break;
    case 1:
        arm(other, ran_at + 1 + random_below(1000));
        break;
    case 2:
        arm(self, ran_at + 1 + random_below(1000));
        break;
    default:
        break;
    }
}

static void heap_against_a_model(void **state) {
    usec_t now = 1;

    (void)state;
    timeout_heap_init(&heap, on_node);
    assert_true(timeout_heap_next(&heap) == USEC_INFINITY);
    for (unsigned step = 0; step < STEPS; step++) {
        struct node *node = &nodes[random_below(NODES)];

        switch (random_below(8)) {
        case 0:
        case 1:
            cancel(node);
            break;
        case 2:
            now += random_below(200);
            ran_at = now;
            last_expired = 0;
            timeout_heap_run(&heap, now);
            assert_true(model_next() > now);
            break;
        default:
            arm(node, now + 1 + random_below(1000));
            break;
        }
        if (step % 16 == 0) {
            assert_int_equal(timeout_heap_next(&heap), model_next());
        }
    }
    assert_true(n_expired > STEPS / 20);
    ran_at = now + 2000;
    for (last_expired = 0; heap.root != NULL; ran_at += 2000, last_expired = 0) {
        timeout_heap_run(&heap, ran_at);
    }
    assert_true(model_next() == USEC_INFINITY);
}

/* Due again at once, it waits for the next run; in order of their ends, a long row of them too. */
static void on_again(struct timeout_node *node) {
    n_expired++;
    timeout_heap_arm(&heap, node, node->at);
}

static void heap_rearmed(void **state) {
    struct timeout_node again = {0};

    (void)state;
    n_expired = 0;
    timeout_heap_init(&heap, on_again);
    timeout_heap_arm(&heap, &again, 5);
    timeout_heap_run(&heap, 4);
    assert_int_equal(n_expired, 0);
    timeout_heap_run(&heap, 5);
    assert_int_equal(n_expired, 1);
    timeout_heap_run(&heap, 5);
    assert_int_equal(n_expired, 2);
    timeout_heap_cancel(&again);
    timeout_heap_cancel(&again);
    timeout_heap_run(&heap, 5);
    assert_int_equal(n_expired, 2);
}

/* A million siblings in a row are no deep recursion. */
static void heap_of_many(void **state) {
    enum { MANY = 1000000 };
    struct timeout_node *many = calloc(MANY, sizeof(*many));

    (void)state;
    assert_non_null(many);
    timeout_heap_init(&heap, on_again);
    for (size_t i = 0; i < MANY; i++) {
        timeout_heap_arm(&heap, &many[i], i < MANY / 2 ? i + 1 : 2 * MANY - i);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(timeout_heap_next(&heap) > 0);
        timeout_heap_cancel(i % 2 == 0 ? heap.root : &many[MANY - i]);
        if (heap.root == NULL) {
            break;
        }
    }
    free(many);
}

/* --- the loop ------------------------------------------------------------------------------------ */

struct thing {
    struct source source;
    struct task task;
    struct loop *loop;
    struct thing *victim; /* closed and scheduled to end when this one is ready */
    unsigned events, runs;
    bool repeat;
};

static void on_ready(struct source *source, uint32_t events) {
    struct thing *thing = container_of(source, struct thing, source);

    (void)events;
    thing->events++;
    if (thing->victim != NULL) {
        source_close(&thing->victim->source);
        loop_schedule(thing->loop, &thing->victim->task);
        assert_int_equal(thing->victim->runs, 0);
    }
}

static void on_task(struct task *task) {
    struct thing *thing = container_of(task, struct thing, task);

    thing->runs++;
    if (thing->repeat) {
        loop_schedule(thing->loop, task);
    }
}

static struct thing thing_make(struct loop *loop) {
    return (struct thing){
        .source = {.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_ready},
        .task = {.run = on_task},
        .loop = loop,
    };
}

/* Of two that are ready at once, whichever comes first ends the other. */
static void ended_in_a_batch(void **state) {
    struct loop loop;
    struct thing a, b;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    a = thing_make(&loop);
    b = thing_make(&loop);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(loop_add(&loop, &a.source), 0);
    assert_int_equal(loop_add(&loop, &b.source), 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events + b.events, 1);
    assert_int_equal(a.runs + b.runs, 1);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events + b.events, 1);
    source_close(&a.source);
    source_close(&b.source);
    loop_done(&loop);
}

/* A task that schedules itself does not keep the loop from anything, nor from waiting for events. */
static void tasks(void **state) {
    struct loop loop;
    struct thing a;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    a = thing_make(&loop);
    a.repeat = true;
    loop_schedule(&loop, &a.task);
    loop_schedule(&loop, &a.task);
    assert_int_equal(loop_turn(&loop, USEC_INFINITY), 0);
    assert_int_equal(a.runs, 1);
    assert_int_equal(loop_turn(&loop, USEC_INFINITY), 0);
    assert_int_equal(a.runs, 2);
    loop_unschedule(&loop, &a.task);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.runs, 2);
    source_close(&a.source);
    loop_done(&loop);
}

static void on_short(struct timeout_node *node) {
    (void)node;
    n_expired++;
}

/* The loop wakes for whichever comes first, of a queue or a heap. */
static void loop_waits_for_heaps(void **state) {
    struct timeout_node node = {0};
    struct wait a = {.name = 'a'};
    struct loop loop;

    (void)state;
    expired[0] = '\0';
    n_expired = 0;
    assert_int_equal(loop_init(&loop), 0);
    timeout_heap_init(&heap, on_short);
    timeout_queue_init(&queue, on_expired);
    loop_add_queue(&loop, &queue);
    loop_add_heap(&loop, &heap);
    timeout_arm(&queue, &a.timeout, loop.now + 3600 * USEC_PER_SEC);
    timeout_heap_arm(&heap, &node, loop.now + USEC_PER_MSEC);
    while (n_expired == 0) {
        assert_int_equal(loop_turn(&loop, USEC_INFINITY), 0);
    }
    assert_true(loop.now >= node.at);
    assert_string_equal(expired, "");
    timeout_arm(&queue, &a.timeout, loop.now);
    timeout_heap_arm(&heap, &node, loop.now + 3600 * USEC_PER_SEC);
    assert_int_equal(loop_turn(&loop, USEC_INFINITY), 0);
    assert_string_equal(expired, "a");
    assert_int_equal(n_expired, 1);
    timeout_heap_cancel(&node);
    loop_done(&loop);
}

/* Nobody reads, and the loop is not woken a second time for the same bytes. */
static void edges(void **state) {
    struct loop loop;
    struct thing a = {.source.ready = on_ready};
    int fds[2];

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a.source.fd = fds[0];
    a.loop = &loop;
    assert_int_equal(loop_add(&loop, &a.source), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 1);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 2);
    source_close(&a.source);
    close(fds[1]);
    loop_done(&loop);
}

/* A socket that is open elsewhere too must be taken out, or its events outlive it. */
static void removal(void **state) {
    struct loop loop;
    struct thing a;
    int other;

    (void)state;
    assert_int_equal(loop_init(&loop), 0);
    a = thing_make(&loop);
    other = dup(a.source.fd);
    assert_int_equal(loop_add_listener(&loop, &a.source, false), 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 1);
    loop_remove(&loop, &a.source);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 1);
    assert_int_equal(loop_add_listener(&loop, &a.source, true), 0);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 2); /* what was ready all the time is seen again */
    loop_remove(&loop, &a.source);
    source_close(&a.source);
    a.source.fd = other; /* were it watched still, this would pass it on */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(a.events, 2);
    source_close(&a.source);
    loop_done(&loop);
}

/* --- systemd ------------------------------------------------------------------------------------- */

static void passed_sockets(void **state) {
    char pid[32];

    (void)state;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(activation_take(), 0); /* for another process */
    assert_null(getenv("LISTEN_FDS"));
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(activation_take(), 0); /* none at all */
    for (size_t i = 0; i < 4; i++) {
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", ((const char *[]){"", "-1", "1x", "99999999999999999999"})[i], 1);
        assert_int_equal(activation_take(), 0);
    }
}

static void notification(void **state) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "\0dockwake-test-notify"};
    socklen_t len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof("@dockwake-test-notify") - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char got[64] = "";

    (void)state;
    activation_notify("READY=1"); /* to nobody */
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, len), 0);
    setenv("NOTIFY_SOCKET", "@dockwake-test-notify", 1);
    activation_notify("READY=1");
    assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
    assert_string_equal(got, "READY=1");
    setenv("NOTIFY_SOCKET", "vsock:1:2", 1);
    activation_notify("READY=1");
    assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_in_order),
        cmocka_unit_test(timeout_rearmed),
        cmocka_unit_test(heap_against_a_model),
        cmocka_unit_test(heap_rearmed),
        cmocka_unit_test(heap_of_many),
        cmocka_unit_test(loop_waits_for_heaps),
        cmocka_unit_test(ended_in_a_batch),
        cmocka_unit_test(tasks),
        cmocka_unit_test(edges),
        cmocka_unit_test(removal),
        cmocka_unit_test(passed_sockets),
        cmocka_unit_test(notification),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
