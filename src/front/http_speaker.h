/*
 * http_speaker.h - the client behind proxies that are believed, by X-Forwarded-For.
 *
 * Pure. Each proxy adds the address it was spoken to from at the end, so the list is gone through
 * from its end, over all such fields, for as long as those named are trusted themselves: the first
 * that is not is the client. What is in front of it is a stranger's word.
 */
#pragma once

#include "config.h"
#include "http_head.h"

/*
 * For a request of a trusted peer. *speaker is the peer's address and becomes the client's as far as
 * it is told; a name that is no address (`unknown`, or an obfuscated one) ends the search.
 */
void http_speaker_find(const char *data, const struct http_head *head,
                       const struct config_nets *trusted, struct proto_address *speaker);
