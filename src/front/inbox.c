/* inbox.c - see inbox.h. */
#include "inbox.h"

#include "util.h"

void inbox_init(struct inbox *inbox) {
    inbox->first = inbox->n = 0;
    pthread_mutex_init(&inbox->lock, NULL);
}

void inbox_done(struct inbox *inbox) {
    struct accepted accepted;

    while (inbox_take(inbox, &accepted)) {
        safe_close(accepted.fd);
    }
    pthread_mutex_destroy(&inbox->lock);
}

int inbox_put(struct inbox *inbox, const struct accepted *accepted) {
    int r = -ENOBUFS;

    pthread_mutex_lock(&inbox->lock);
    if (inbox->n < INBOX_MAX) {
        inbox->ring[(inbox->first + inbox->n) % INBOX_MAX] = *accepted;
        r = (int)inbox->n++;
    }
    pthread_mutex_unlock(&inbox->lock);
    return r;
}

bool inbox_take(struct inbox *inbox, struct accepted *ret_accepted) {
    bool taken = false;

    pthread_mutex_lock(&inbox->lock);
    if (inbox->n > 0) {
        *ret_accepted = inbox->ring[inbox->first];
        inbox->first = (inbox->first + 1) % INBOX_MAX;
        inbox->n--;
        taken = true;
    }
    pthread_mutex_unlock(&inbox->lock);
    return taken;
}
