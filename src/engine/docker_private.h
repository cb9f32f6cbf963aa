/* docker_private.h - what docker.c and those who read streams share: docker_stream.c, logs.c. */
#pragma once

#include "docker.h"

/* The extra of a stream: see http.h. */
typedef int (*docker_piece)(void *userdata, const char *data, size_t size);

/* docker_call_start() with a piece callback (NULL: keep the body). */
int docker_call_start_full(struct docker *docker, const char *method, const char *path,
                           usec_t timeout, docker_piece piece, docker_done done, void *userdata,
                           struct docker_call **ret_call);

sd_event *docker_event_loop(struct docker *docker);
