/*
 * http.c - libcurl's multi interface driven by sd-event.
 *
 * libcurl tells which sockets it wants watched (CURLMOPT_SOCKETFUNCTION) and when it wants to be
 * called next (CURLMOPT_TIMERFUNCTION); each socket becomes an I/O source and the timer one time
 * source. Finished transfers, and the pieces of streams, are taken by a deferred source, never from
 * within libcurl's callbacks, which must not call the multi interface (CURLM_RECURSIVE_API_CALL);
 * so our own callbacks can start and end any call.
 *
 * libcurl's socket callback hands back the I/O source that was assigned to the socket
 * (curl_multi_assign(3)), which is how sources are found and removed.
 */
#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

struct http {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer;
    sd_event_source *reaper;           /* deferred: takes finished transfers */
    struct http_call *finishing;       /* the call whose callback is running */
    TAILQ_HEAD(, http_call) streaming; /* streams with pieces to hand out */
};

struct http_call {
    struct http *http;
    CURL *easy;
    int (*piece)(void *userdata, const char *data, size_t size);
    void (*done)(void *userdata, const struct http_answer *answer);
    void *userdata;
    char *body;
    size_t size, allocated, limit;
    bool too_large;
    TAILQ_ENTRY(http_call) entry;
    bool queued;               /* in http->streaming */
    bool head_come;            /* a stream's 2xx head: the body goes to piece() */
    bool head_told;            /* and piece() knows it */
    struct curl_slist *fields; /* of the request */
    char api_version[16];
    char error[CURL_ERROR_SIZE];
};

static int reaper_dispatch(sd_event_source *source, void *userdata);

static void http_kick(struct http *http) {
    sd_event_source_set_enabled(http->reaper, SD_EVENT_ONESHOT);
}

static void stream_queue(struct http_call *call) {
    if (call->queued)
        return;
    TAILQ_INSERT_TAIL(&call->http->streaming, call, entry);
    call->queued = true;
}

/* --- libcurl's side ------------------------------------------------------------------------- */

static int io_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct http *http = userdata;
    int action = 0, running;

    (void)source;
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        action |= CURL_CSELECT_IN;
    if (revents & EPOLLOUT)
        action |= CURL_CSELECT_OUT;
    if (revents & EPOLLERR)
        action |= CURL_CSELECT_ERR;
    curl_multi_socket_action(http->multi, fd, action, &running);
    http_kick(http);
    return 0;
}

static int timer_dispatch(sd_event_source *source, uint64_t usec, void *userdata) {
    struct http *http = userdata;
    int running;

    (void)source;
    (void)usec;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_kick(http);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socketp) {
    struct http *http = userdata;
    sd_event_source *source = socketp;
    uint32_t events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        curl_multi_assign(http->multi, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    if (source)
        return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
    if (sd_event_add_io(http->event, &source, fd, events, io_dispatch, http) < 0)
        return -1;
    curl_multi_assign(http->multi, fd, source);
    return 0;
}

/* Only arms the timer: libcurl must not be called from within this callback. */
static int on_timer(CURLM *multi, long timeout_ms, void *userdata) {
    struct http *http = userdata;

    (void)multi;
    if (timeout_ms < 0)
        return sd_event_source_set_enabled(http->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time(http->timer, now_usec(CLOCK_MONOTONIC) +
                                                  (usec_t)timeout_ms * USEC_PER_MSEC) < 0)
        return -1;
    return sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static size_t on_header(char *data, size_t one, size_t n, void *userdata) {
    static const char name[] = "api-version:";
    struct http_call *call = userdata;
    size_t size = one * n, length = 0;
    long status = 0;

    if (size >= sizeof(name) && strncasecmp(data, name, sizeof(name) - 1) == 0) {
        size_t i = sizeof(name) - 1;

        while (i < size && data[i] == ' ')
            i++;
        while (i < size && data[i] > ' ' && length < sizeof(call->api_version) - 1)
            call->api_version[length++] = data[i++];
        call->api_version[length] = '\0';
    }
    if (size <= 2 && call->piece && !call->head_come) { /* the empty line */
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200 && status < 300) {
            call->head_come = true;
            stream_queue(call);
        }
    }
    return size;
}

static size_t on_body(char *data, size_t one, size_t n, void *userdata) {
    struct http_call *call = userdata;
    size_t size = one * n;

    if (size > call->limit - call->size) {
        call->too_large = true;
        return 0;
    }
    if (call->size + size + 1 > call->allocated) {
        size_t wanted = (call->size + size + 1) * 2;
        char *grown = realloc(call->body, wanted);

        if (!grown)
            return 0;
        call->body = grown;
        call->allocated = wanted;
    }
    memcpy(call->body + call->size, data, size);
    call->size += size;
    call->body[call->size] = '\0';
    if (call->head_come)
        stream_queue(call);
    return size;
}

/* --- our side ------------------------------------------------------------------------------- */

static int result_from_curl(const struct http_call *call, CURLcode code) {
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return -EPIPE;
    case CURLE_WRITE_ERROR:
        return call->too_large ? -EMSGSIZE : -EPIPE;
    default:
        return -EIO;
    }
}

static void call_destroy(struct http_call *call) {
    if (call->queued)
        TAILQ_REMOVE(&call->http->streaming, call, entry);
    if (call->easy) {
        curl_multi_remove_handle(call->http->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->fields);
    free(call->body);
    free(call);
}

static void call_finish(struct http_call *call, CURLcode code) {
    struct http *http = call->http;
    struct http_answer answer = {
        .result = result_from_curl(call, code),
        .body = call->body ? call->body : "",
        .size = call->size,
        .text = call->error[0] ? call->error : curl_easy_strerror(code),
    };

    if (answer.result == 0 || answer.result == -EMSGSIZE)
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.status);
    memcpy(answer.api_version, call->api_version, sizeof(answer.api_version));

    http->finishing = call; /* its owner may call http_call_free() from the callback */
    call->done(call->userdata, &answer);
    http->finishing = NULL;
    call_destroy(call);
}

/* Hands out what has come since. The callback may free the call when it returns 0. */
static void stream_deliver(struct http_call *call) {
    auto_free char *piece = call->body;
    size_t size = call->size;
    int r = 0;

    TAILQ_REMOVE(&call->http->streaming, call, entry);
    call->queued = false;
    call->body = NULL;
    call->size = call->allocated = 0;
    if (!call->head_told) {
        call->head_told = true;
        if (size > 0) { /* once more for the body, should the call still be there */
            call->body = take_ptr(piece);
            call->size = size;
            call->allocated = size + 1;
            stream_queue(call);
        }
        r = call->piece(call->userdata, "", 0);
    } else if (size > 0) {
        r = call->piece(call->userdata, piece, size);
    }
    if (r < 0)
        call_finish(call, CURLE_WRITE_ERROR);
}

static int reaper_dispatch(sd_event_source *source, void *userdata) {
    struct http *http = userdata;
    struct http_call *stream;
    CURLMsg *message;
    int left;

    (void)source;
    while ((stream = TAILQ_FIRST(&http->streaming)))
        stream_deliver(stream);
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        call_finish(call, code);
    }
    return 0;
}

int http_new(sd_event *event, struct http **ret_http) {
    struct http *http = calloc(1, sizeof(*http));
    int r;

    if (!http)
        return -ENOMEM;
    http->event = sd_event_ref(event);
    TAILQ_INIT(&http->streaming);
    http->multi = curl_multi_init();
    if (!http->multi) {
        r = -ENOMEM;
        goto fail;
    }
    r = sd_event_add_time(event, &http->timer, CLOCK_MONOTONIC, 0, 1, timer_dispatch, http);
    if (r < 0)
        goto fail;
    r = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
    if (r < 0)
        goto fail;
    r = sd_event_add_defer(event, &http->reaper, reaper_dispatch, http);
    if (r < 0)
        goto fail;
    r = sd_event_source_set_enabled(http->reaper, SD_EVENT_OFF);
    if (r < 0)
        goto fail;

    if (curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) != CURLM_OK ||
        curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) != CURLM_OK) {
        r = -EIO;
        goto fail;
    }
    *ret_http = http;
    return 0;

fail:
    http_free(http);
    return r;
}

void http_free(struct http *http) {
    if (!http)
        return;
    curl_multi_cleanup(http->multi); /* closes kept connections, through on_socket() */
    sd_event_source_disable_unref(http->timer);
    sd_event_source_disable_unref(http->reaper);
    sd_event_unref(http->event);
    free(http);
}

/* curl_easy_setopt(3) is variadic: longs must be longs. */
static bool call_configure(struct http_call *call, const struct http_request *request) {
    CURL *e = call->easy;
    CURLcode c = CURLE_OK;

#define SET(option, value) (c = c == CURLE_OK ? curl_easy_setopt(e, option, value) : c)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_ERRORBUFFER, call->error);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "dockwake-engine/" DOCKWAKE_VERSION);
    if (request->host) {
        char field[HTTP_URL_MAX];

        snprintf(field, sizeof(field), "Host: %s", request->host);
        call->fields = curl_slist_append(NULL, field);
        if (!call->fields)
            return false;
        SET(CURLOPT_HTTPHEADER, call->fields);
    }
    if (request->timeout > 0)
        SET(CURLOPT_TIMEOUT_MS, (long)((request->timeout + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
    if (request->unix_socket)
        SET(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (request->fresh) {
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L);
    }
    if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, ""); /* Content-Length: 0; Docker's start wants no body */
    } else if (strcmp(request->method, "GET") != 0)
        SET(CURLOPT_CUSTOMREQUEST, request->method);
#undef SET
    return c == CURLE_OK;
}

int http_call_start(struct http *http, const struct http_request *request,
                    struct http_call **ret_call) {
    struct http_call *call = calloc(1, sizeof(*call));

    if (!call)
        return -ENOMEM;
    call->http = http;
    call->piece = request->piece;
    call->done = request->done;
    call->userdata = request->userdata;
    call->limit = request->limit ? request->limit : HTTP_BODY_MAX;
    call->easy = curl_easy_init();
    if (!call->easy || !call_configure(call, request)) {
        call_destroy(call);
        return -ENOMEM;
    }
    if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
        call_destroy(call);
        return -EIO;
    }
    *ret_call = call;
    return 0;
}

void http_call_free(struct http_call *call) {
    if (!call || call == call->http->finishing)
        return;
    call_destroy(call);
}
