/* timeout.c - see timeout.h. */
#include "timeout.h"

void timeout_queue_init(struct timeout_queue *queue, void (*expired)(struct timeout *timeout)) {
    *queue = (struct timeout_queue){.expired = expired};
    TAILQ_INIT(&queue->waiting);
}

void timeout_arm(struct timeout_queue *queue, struct timeout *timeout, usec_t at) {
    struct timeout *before;

    timeout_cancel(timeout);
    timeout->queue = queue;
    timeout->at = at;
    TAILQ_FOREACH_REVERSE(before, &queue->waiting, timeout_list, link) {
        if (before->at <= at) {
            TAILQ_INSERT_AFTER(&queue->waiting, before, timeout, link);
            return;
        }
    }
    TAILQ_INSERT_HEAD(&queue->waiting, timeout, link);
}

void timeout_cancel(struct timeout *timeout) {
    if (timeout->queue == NULL) {
        return;
    }
    TAILQ_REMOVE(&timeout->queue->waiting, timeout, link);
    timeout->queue = NULL;
}

usec_t timeout_queue_next(const struct timeout_queue *queue) {
    const struct timeout *first = TAILQ_FIRST(&queue->waiting);

    return first == NULL ? USEC_INFINITY : first->at;
}

void timeout_queue_run(struct timeout_queue *queue, usec_t now) {
    struct timeout *timeout;
    size_t due = 0;

    TAILQ_FOREACH (timeout, &queue->waiting, link) {
        if (timeout->at > now) {
            break;
        }
        due++;
    }
    while (due-- > 0 && (timeout = TAILQ_FIRST(&queue->waiting)) != NULL && timeout->at <= now) {
        timeout_cancel(timeout);
        queue->expired(timeout);
    }
}

/* --- the heap ------------------------------------------------------------------------------------
 *
 * Pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986). A node's children are a list that begins
 * at child and goes on over next; back leads from the first child to its parent and from any other
 * to the one before it. The root has neither back nor next.
 */

void timeout_heap_init(struct timeout_heap *heap, void (*expired)(struct timeout_node *node)) {
    *heap = (struct timeout_heap){.expired = expired};
}

/* Of two roots the later one becomes the other's first child. Either may be NULL. */
static struct timeout_node *merge(struct timeout_node *a, struct timeout_node *b) {
    struct timeout_node *first = a, *second = b;

    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (b->at < a->at) {
        first = b;
        second = a;
    }
    second->back = first;
    second->next = first->child;
    if (first->child != NULL) {
        first->child->back = second;
    }
    first->child = second;
    return first;
}

/* Takes the first of a list of siblings out of it, as a root. */
static struct timeout_node *take_first(struct timeout_node **list) {
    struct timeout_node *node = *list;

    if (node != NULL) {
        *list = node->next;
        node->next = node->back = NULL;
    }
    return node;
}

/* One root of all siblings: in pairs from the left, then those from the right. No recursion: a list
 * may be as long as there are nodes. */
static struct timeout_node *merge_all(struct timeout_node *list) {
    struct timeout_node *pairs = NULL, *root = NULL, *pair;

    while (list != NULL) {
        struct timeout_node *a = take_first(&list), *b = take_first(&list);

        pair = merge(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while ((pair = take_first(&pairs)) != NULL) {
        root = merge(root, pair);
    }
    return root;
}

void timeout_heap_arm(struct timeout_heap *heap, struct timeout_node *node, usec_t at) {
    timeout_heap_cancel(node);
    *node = (struct timeout_node){.heap = heap, .at = at};
    heap->root = merge(heap->root, node);
}

void timeout_heap_cancel(struct timeout_node *node) {
    struct timeout_heap *heap = node->heap;

    if (heap == NULL) {
        return;
    }
    if (node == heap->root) {
        heap->root = merge_all(node->child);
    } else {
        if (node->back->child == node) {
            node->back->child = node->next;
        } else {
            node->back->next = node->next;
        }
        if (node->next != NULL) {
            node->next->back = node->back;
        }
        heap->root = merge(heap->root, merge_all(node->child));
    }
    *node = (struct timeout_node){.at = node->at};
}

usec_t timeout_heap_next(const struct timeout_heap *heap) {
    return heap->root == NULL ? USEC_INFINITY : heap->root->at;
}

void timeout_heap_run(struct timeout_heap *heap, usec_t now) {
    struct timeout_heap due = {0};
    struct timeout_node *node;

    /* Those that are due wait in a heap of their own: what is armed meanwhile is not among them, and
     * they can be cancelled and armed anew like any other. */
    while ((node = heap->root) != NULL && node->at <= now) {
        timeout_heap_arm(&due, node, node->at);
    }
    while ((node = due.root) != NULL) {
        timeout_heap_cancel(node);
        heap->expired(node);
    }
}
