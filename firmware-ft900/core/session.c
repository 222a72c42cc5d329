#include "core/session.h"

#include <string.h>

static void enter(struct pt_session *session, enum pt_session_state state, uint32_t now_ms) {
  session->state = state;
  session->since_ms = now_ms;
}

static void log_line(const struct pt_session *session, const char *line) {
  session->transport->log(session->transport->ctx, line);
}

void pt_session_init(struct pt_session *session, const struct pt_transport *transport, struct pt_protocol *protocol,
                     const char *model, const char *version) {
  struct pt_text filter;
  memset(session, 0, sizeof *session);
  session->transport = transport;
  session->protocol = protocol;
  session->model = model;
  session->version = version;
  session->state = PT_WAIT_NETWORK;
  pt_backoff_reset(&session->backoff);
  pt_text_init(&filter, session->filter, sizeof session->filter);
  pt_text_string(&filter, protocol->device_id);
  pt_text_string(&filter, "/#");
}

static void back_off(struct pt_session *session, const char *reason, uint32_t now_ms) {
  char buffer[96];
  struct pt_text line;
  if (session->state == PT_ONLINE && now_ms - session->since_ms >= PT_STABLE_MS) pt_backoff_reset(&session->backoff);
  session->wait_ms = pt_backoff_next(&session->backoff, session->transport->random(session->transport->ctx));
  session->unacked = 0;
  session->hello_due = false;
  pt_text_init(&line, buffer, sizeof buffer);
  pt_text_string(&line, "session: ");
  pt_text_string(&line, reason);
  pt_text_string(&line, "; next attempt in ms: ");
  pt_text_u32(&line, session->wait_ms);
  log_line(session, buffer);
  enter(session, PT_BACKOFF, now_ms);
}

void pt_session_connected(struct pt_session *session, uint32_t now_ms) {
  if (session->state != PT_CONNECTING) return;
  enter(session, PT_SUBSCRIBING, now_ms);
  if (!session->transport->subscribe(session->transport->ctx, session->filter)) {
    session->transport->disconnect(session->transport->ctx);
    back_off(session, "could not subscribe", now_ms);
  }
}

void pt_session_closed(struct pt_session *session, const char *reason, uint32_t now_ms) {
  if (session->state == PT_CONNECTING || session->state == PT_SUBSCRIBING || session->state == PT_ONLINE)
    back_off(session, reason, now_ms);
}

void pt_session_subscribed(struct pt_session *session, bool granted, uint32_t now_ms) {
  if (session->state != PT_SUBSCRIBING) return;
  if (!granted) {
    session->transport->disconnect(session->transport->ctx);
    back_off(session, "the broker refused the subscription", now_ms);
    return;
  }
  log_line(session, "session: online");
  enter(session, PT_ONLINE, now_ms);
  session->hello_due = true;
}

void pt_session_published(struct pt_session *session, bool acknowledged, uint32_t now_ms) {
  if (session->unacked > 0) session->unacked--;
  session->oldest_ack_ms = now_ms;
  if (!acknowledged && session->state == PT_ONLINE) {
    session->transport->disconnect(session->transport->ctx);
    back_off(session, "an answer was not acknowledged", now_ms);
  }
}

static void drop_stale(struct pt_session *session, uint32_t now_ms) {
  struct pt_message message;
  /* Signed: what was queued while this turn of the loop ran may be younger than `now_ms`. */
  while (pt_outq_first(session->protocol->queue, &message) &&
         (int32_t)(now_ms - message.queued_at) > (int32_t)PT_STALE_MS)
    pt_outq_drop(session->protocol->queue);
}

static void publish_waiting(struct pt_session *session, uint32_t now_ms) {
  struct pt_message message;
  drop_stale(session, now_ms);
  if (session->hello_due && pt_protocol_hello(session->protocol, now_ms, session->model, session->version))
    session->hello_due = false;
  while (session->unacked < PT_UNACKED_MAX && pt_outq_first(session->protocol->queue, &message)) {
    enum pt_publish_result result = session->transport->publish(session->transport->ctx, &message);
    if (result != PT_PUBLISH_SENT) return;
    if (session->unacked == 0) session->oldest_ack_ms = now_ms;
    session->unacked++;
    if ((message.flags & PT_MESSAGE_RESTART) != 0) session->restart_sent = true;
    pt_outq_drop(session->protocol->queue);
  }
}

static void poll_restart(struct pt_session *session, uint32_t now_ms) {
  if (!session->restart_due) {
    struct pt_message message;
    bool asked = session->restart_sent;
    if (!asked && pt_outq_first(session->protocol->queue, &message)) asked = (message.flags & PT_MESSAGE_RESTART) != 0;
    if (!asked) return;
    session->restart_due = true;
    session->restart_since_ms = now_ms;
  }
  bool acknowledged = session->restart_sent && session->unacked == 0;
  if (acknowledged || now_ms - session->restart_since_ms >= PT_RESTART_LATEST_MS) {
    log_line(session, acknowledged ? "session: restarting, the answer was acknowledged"
                                   : "session: restarting, the answer was not acknowledged in time");
    session->transport->restart(session->transport->ctx);
    session->restart_due = false;
    session->restart_sent = false;
  }
}

void pt_session_poll(struct pt_session *session, uint32_t now_ms) {
  const struct pt_transport *transport = session->transport;
  uint32_t elapsed = now_ms - session->since_ms;
  bool connected = session->state == PT_CONNECTING || session->state == PT_SUBSCRIBING || session->state == PT_ONLINE;
  if (connected && !transport->network_ready(transport->ctx)) {
    transport->disconnect(transport->ctx);
    log_line(session, "session: the network is gone");
    session->unacked = 0;
    enter(session, PT_WAIT_NETWORK, now_ms);
  }
  switch (session->state) {
    case PT_WAIT_NETWORK:
      if (!transport->network_ready(transport->ctx)) break;
      /* Not at once: after a power cut all devices of a building have their network back together. */
      session->wait_ms = pt_backoff_next(&session->backoff, transport->random(transport->ctx)) / 2u;
      enter(session, PT_BACKOFF, now_ms);
      break;
    case PT_BACKOFF:
      if (elapsed < session->wait_ms) break;
      if (!transport->network_ready(transport->ctx)) {
        enter(session, PT_WAIT_NETWORK, now_ms);
        break;
      }
      enter(session, PT_CONNECTING, now_ms);
      if (!transport->connect(transport->ctx)) back_off(session, "could not start to connect", now_ms);
      break;
    case PT_CONNECTING:
      if (elapsed < PT_CONNECT_TIMEOUT_MS) break;
      transport->disconnect(transport->ctx);
      back_off(session, "connecting took too long", now_ms);
      break;
    case PT_SUBSCRIBING:
      if (elapsed < PT_ACK_TIMEOUT_MS) break;
      transport->disconnect(transport->ctx);
      back_off(session, "the subscription was not acknowledged", now_ms);
      break;
    case PT_ONLINE:
      publish_waiting(session, now_ms);
      if (session->unacked > 0 && now_ms - session->oldest_ack_ms >= PT_ACK_TIMEOUT_MS) {
        transport->disconnect(transport->ctx);
        back_off(session, "an answer was not acknowledged", now_ms);
      }
      break;
  }
  poll_restart(session, now_ms);
}
