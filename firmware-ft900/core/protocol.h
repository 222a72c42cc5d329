/**
 * Protocol 2 of the wire contract over MQTT 3.1.1, and what devices before it did: a request comes in with its
 * topic, one answer goes to the outbound queue.
 */
#ifndef POSTERN_PROTOCOL_H
#define POSTERN_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/methods.h"
#include "core/outq.h"

/**
 * Longest request, in bytes. Holds 1,024 bytes of UART data as base64, or as text of which a third is escaped,
 * and both correlation fields. Text of 1,024 control characters would be 6 KB of JSON: such a request is
 * answered with REQUEST_TOO_LARGE, and base64 is the way for it.
 */
#define PT_REQUEST_MAX 1920u
/** Longest topic, in characters: "server/" + id + "/" + what the gateway appends. */
#define PT_TOPIC_MAX 159u
/** Longest reply: it echoes at most what came, and adds little. */
#define PT_REPLY_MAX (PT_REQUEST_MAX + 32u)
/** Longest correlation id; the wire contract's MAX_CORRELATION_ID_LENGTH. */
#define PT_CORRELATION_MAX 64u
/** How many correlation ids are remembered; twice what the gateway lets be in flight for one device. */
#define PT_SEEN_MAX 64u
/** The end of a request that was too long is kept in as many bytes, since the correlation may be there. */
#define PT_TAIL_KEPT 512u

struct pt_protocol {
  struct pt_device *device;
  struct pt_outq *queue;
  const char *device_id;
  /** Hashes of the ids seen last. 64 bits: that two of 64 ids meet has a chance below 10^-15. */
  uint64_t seen[PT_SEEN_MAX];
  size_t seen_next;
  uint32_t dropped; /**< answers that found no room in the queue */

  char topic[PT_TOPIC_MAX + 1u];
  bool topic_fits;
  char request[PT_REQUEST_MAX];
  size_t received; /**< of the request that is coming in, also what was not kept */
};

/** `device_id` must stay. */
void pt_protocol_init(struct pt_protocol *protocol, struct pt_device *device, struct pt_outq *queue,
                      const char *device_id);

/** A request comes in: its topic, then its payload in pieces, then its end. */
void pt_protocol_begin(struct pt_protocol *protocol, const char *topic);
void pt_protocol_data(struct pt_protocol *protocol, const uint8_t *data, size_t length);
void pt_protocol_end(struct pt_protocol *protocol, uint32_t now_ms);

/** Queues the hello of protocol 2; false if there is no room. */
bool pt_protocol_hello(struct pt_protocol *protocol, uint32_t now_ms, const char *model, const char *version);
/** False: the queue might not hold the next answer, so the next request had better wait. */
bool pt_protocol_has_room(const struct pt_protocol *protocol);

#endif
