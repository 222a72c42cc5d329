/**
 * The device's session with the broker: when to connect, subscribe, say hello, publish what waits, give up, and
 * come back. Knows no lwIP: a transport does what it says and tells it what happened.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backoff.h"
#include "core/outq.h"
#include "core/protocol.h"

/** Longest wait for TCP, TLS and CONNACK together, in ms. A handshake takes an FT900 about 2 s. */
#define PT_CONNECT_TIMEOUT_MS 30000u
/** Longest wait for SUBACK, and for a PUBACK, in ms; then the connection counts as half open. */
#define PT_ACK_TIMEOUT_MS 20000u
/** A session that lasted this long, in ms, starts the backoff anew: what ends sooner may be refused again. */
#define PT_STABLE_MS 30000u
/** An answer that waited longer than this, in ms, is dropped: its caller's timeout is over, or it is about to be. */
#define PT_STALE_MS 60000u
/** A restart that was asked for happens at the latest after this many ms, acknowledged or not. */
#define PT_RESTART_LATEST_MS 5000u
/** Messages that may be on their way at once, until PUBACK or, for QoS 0, TCP's acknowledgement. lwIP has a slot for each. */
#define PT_UNACKED_MAX 16u

enum pt_publish_result {
  PT_PUBLISH_SENT, /**< taken; pt_session_published will be called for it */
  PT_PUBLISH_BUSY, /**< no room just now */
  PT_PUBLISH_GONE, /**< no connection */
};

struct pt_transport {
  void *ctx;
  /** The link is up and there is an address. */
  bool (*network_ready)(void *ctx);
  /** Starts to connect; false when not even that was possible. Ends with pt_session_connected or _closed. */
  bool (*connect)(void *ctx);
  /** Ends the connection at once, without a call of pt_session_closed. */
  void (*disconnect)(void *ctx);
  /** QoS 1; ends with pt_session_subscribed. */
  bool (*subscribe)(void *ctx, const char *topic_filter);
  /**
   * QoS 1 where the message says so, else QoS 0: an answer goes with TCP's own certainty. If each waited for a
   * PUBACK, and requests waited for answers to leave, the PUBACK would stand behind the requests for ever.
   */
  enum pt_publish_result (*publish)(void *ctx, const struct pt_message *message);
  uint32_t (*random)(void *ctx);
  void (*restart)(void *ctx);
  void (*log)(void *ctx, const char *line);
};

enum pt_session_state {
  PT_WAIT_NETWORK,
  PT_BACKOFF,
  PT_CONNECTING,
  PT_SUBSCRIBING,
  PT_ONLINE,
};

struct pt_session {
  const struct pt_transport *transport;
  struct pt_protocol *protocol;
  struct pt_backoff backoff;
  enum pt_session_state state;
  uint32_t since_ms;      /**< when this state began */
  uint32_t wait_ms;       /**< how long the backoff is */
  uint32_t oldest_ack_ms; /**< when a PUBACK last came, or the first of the unacknowledged was sent */
  unsigned unacked;
  bool hello_due;
  bool restart_due;
  bool restart_sent; /**< the answer to the restart is on its way */
  uint32_t restart_since_ms;
  char filter[PT_DEVICE_ID_MAX + 3u];
  const char *model;
  const char *version;
};

/** `model` and `version` go into the hello; all pointers must stay. */
void pt_session_init(struct pt_session *session, const struct pt_transport *transport, struct pt_protocol *protocol,
                     const char *model, const char *version);
/** To be called often. */
void pt_session_poll(struct pt_session *session, uint32_t now_ms);

void pt_session_connected(struct pt_session *session, uint32_t now_ms);
/** `reason` is a constant for the log. */
void pt_session_closed(struct pt_session *session, const char *reason, uint32_t now_ms);
void pt_session_subscribed(struct pt_session *session, bool granted, uint32_t now_ms);
/** A published message was acknowledged, or its time ran out. */
void pt_session_published(struct pt_session *session, bool acknowledged, uint32_t now_ms);

#endif
