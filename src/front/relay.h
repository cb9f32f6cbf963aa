/*
 * relay.h - bytes from one side to the other, with backpressure and without a buffer at rest.
 *
 * A connection has two sides and two flows, one in each direction, which know nothing of each
 * other. A flow reads into a buffer that the whole loop shares and writes it through at once. Only
 * what the sink did not take is kept, in memory of its own, and nothing more is read before that is
 * gone: a slow reader stops a fast writer, and a quiet connection costs no buffer.
 *
 * Readiness is remembered, not polled (loop.h: edge-triggered): a side stays readable or writable
 * until the kernel says EAGAIN, and only an event makes it so again. flow_run() is the one place
 * that derives from this state what is done next.
 */
#pragma once

#include <sys/types.h>

#include "http_head.h"
#include "loop.h"

enum {
    RELAY_BUFFER_SIZE = 65536, /* read at a time; also the most that a flow keeps */
    RELAY_READS = 8,           /* reads of one flow in one turn, then the others' turn comes */
};

struct flow_rest; /* bytes that are kept */

/* One end of a connection. */
struct side {
    struct source source;
    struct flow_rest *ahead; /* what was read and is still unread to all else; NULL: nothing */
    bool readable;           /* recv() may find something: bytes, the end or an error */
    bool writable;           /* send() may take something */
    bool no_more;            /* the peer has sent its end (EPOLLRDHUP); bytes may still be unread */
    bool news;               /* input was reported since this was last cleared */
    bool gone;               /* nothing can be sent to the peer any more, and nothing comes */
    bool short_is_all; /* a read that came back short has emptied the queue (TCP without urgent
                          data) */
};

void side_init(struct side *side, int fd, void (*ready)(struct source *source, uint32_t events));
/* Notes what epoll_wait() reported. */
void side_note(struct side *side, uint32_t events);
void side_close(struct side *side);
/* Reads, first what is ahead. Returns as recv(2), but negative errno. */
ssize_t side_recv(struct side *side, char *buffer, size_t size);
/* The same, and leaves it unread. */
ssize_t side_peek(struct side *side, char *buffer, size_t size);
/*
 * The same as side_peek() to its caller, but takes the bytes out of the socket and keeps them ahead: a
 * look that costs memory instead of a second system call. -ENOMEM: they are lost.
 */
ssize_t side_take_ahead(struct side *side, char *buffer, size_t size);
/* Throws away bytes that were peeked at. Returns 0 or recv(2)'s errno. */
int side_discard(struct side *side, size_t size);

struct flow;

/*
 * Sees bytes before they are sent, and may change them in place. HTTP_PARTIAL: the first *ret_pass
 * go on. HTTP_COMPLETE: the same, and the flow ends behind them. HTTP_BAD: none of these pass. It may
 * change the flow's limit and filter. With a flow that peeks, what passes is what was read: then it
 * must not change them.
 */
typedef enum http_result (*flow_filter)(struct flow *flow, char *data, size_t size,
                                        size_t *ret_pass);

#define FLOW_ENDLESS UINT64_MAX

struct flow {
    struct flow_rest *rest; /* what the sink has not taken yet; NULL: nothing */
    uint64_t left;          /* bytes that may still be read; FLOW_ENDLESS: until the end */
    flow_filter filter;     /* NULL: all passes */
    bool peeks;             /* bytes that do not pass the filter stay in the source, unread */
    int error;              /* why reading failed; what was read before is still delivered */
    bool ended;             /* the source's end was read */
    bool broken;            /* the sink takes no more */
    bool refused;           /* the filter said no */
    bool passed;            /* at least one byte was read and let pass */
};

enum flow_result {
    FLOW_WAITS,         /* for an event on one of the sides */
    FLOW_MORE,          /* its share of this turn is used up */
    FLOW_DONE,          /* the source has ended, or the limit is reached, and all is delivered */
    FLOW_SOURCE_FAILED, /* flow->error says why; all that was read is delivered */
    FLOW_SINK_FAILED,   /* what was read and not delivered is lost */
    FLOW_REFUSED,
};

/* left: how much may be read at most, 0 for a flow that does not run yet. */
void flow_init(struct flow *flow, uint64_t left, flow_filter filter);

/*
 * Sends bytes of our own ahead of anything that the flow reads, at most UINT32_MAX; what to does
 * not take is kept and goes out in flow_run(). Returns 0, -EBUSY when the flow has a rest already,
 * -ENOMEM, or send(2)'s errno.
 */
int flow_write(struct flow *flow, struct side *to, const char *data, size_t size);

/* The same with two pieces, one behind the other, in one packet if possible. */
int flow_write_pair(struct flow *flow, struct side *to, const char *head, size_t head_size,
                    const char *body, size_t body_size);

/* Moves what can be moved. Once it has said DONE or that something failed, it says so again. */
enum flow_result flow_run(struct flow *flow, struct side *from, struct side *to,
                          char buffer[static RELAY_BUFFER_SIZE]);

/* Forgets what was not delivered. */
void flow_done(struct flow *flow);
