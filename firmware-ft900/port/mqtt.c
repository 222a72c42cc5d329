#include <string.h>

#include "lwip/altcp.h"
#include "lwip/altcp_tls.h"
#include "lwip/apps/mqtt.h"
#include "lwip/apps/mqtt_priv.h"
#include "lwip/dns.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "mbedtls/ssl.h"
#include "port/port.h"

/** Seconds between PINGREQs at most; the broker ends a session after one and a half of them. */
#define KEEP_ALIVE_S 30u
/** Bytes of lwIP's output ring that answers leave free: PUBACKs of what came (4 bytes each) and PINGREQ. */
#define ACK_RESERVE 64u

static mqtt_client_t client;
static const struct pt_config *config;
static struct altcp_tls_config *tls;
static struct pt_protocol *protocol;

/*
 * lwIP's callbacks only note what happened. The session acts on it from the main loop, since lwIP does not bear a
 * connection that is closed inside of its callbacks.
 */
static struct {
  bool connected;
  const char *closed;
  bool subscribed;
  bool subscribe_refused;
  unsigned acknowledged;
  unsigned unacknowledged;
  bool resolved;
  bool resolve_failed;
  ip_addr_t address;
} events;
static unsigned generation; /* of the connection, so that a late answer of DNS does not meet the next one */
static bool was_held;

int pt_mqtt_rx_hold(void) {
  bool hold = protocol != NULL && !pt_protocol_has_room(protocol);
  if (hold) was_held = true;
  return hold ? 1 : 0;
}

static const char *explain(mqtt_connection_status_t status) {
  switch (status) {
    case MQTT_CONNECT_ACCEPTED: return "closed";
    case MQTT_CONNECT_REFUSED_PROTOCOL_VERSION: return "the broker refused the protocol version";
    case MQTT_CONNECT_REFUSED_IDENTIFIER: return "the broker refused the client id";
    case MQTT_CONNECT_REFUSED_SERVER: return "the broker is not ready";
    case MQTT_CONNECT_REFUSED_USERNAME_PASS:
    case MQTT_CONNECT_REFUSED_NOT_AUTHORIZED_: return "the broker does not admit this device";
    case MQTT_CONNECT_TIMEOUT: return "the broker did not answer in time";
    case MQTT_CONNECT_DISCONNECTED: break;
  }
  if (altcp_tls_last_error == 0) return "the connection was closed";
  /* mbedTLS's number, as its documentation has it: 0x2700 is a certificate that could not be verified. */
  static char reason[48];
  struct pt_text text;
  unsigned error = (unsigned)-altcp_tls_last_error;
  pt_text_init(&text, reason, sizeof reason);
  pt_text_string(&text, "TLS did not come about, error -0x");
  pt_text_hex_byte(&text, (uint8_t)(error >> 8));
  pt_text_hex_byte(&text, (uint8_t)error);
  return reason;
}

static void connection_changed(mqtt_client_t *unused, void *arg, mqtt_connection_status_t status) {
  (void)unused;
  (void)arg;
  if (status == MQTT_CONNECT_ACCEPTED) events.connected = true;
  else events.closed = explain(status);
}

static void publish_begins(void *arg, const char *topic, u32_t total) {
  (void)arg;
  (void)total;
  pt_protocol_begin(protocol, topic);
}

static void publish_data(void *arg, const u8_t *data, u16_t length, u8_t flags) {
  (void)arg;
  pt_protocol_data(protocol, data, length);
  if ((flags & MQTT_DATA_FLAG_LAST) != 0) pt_protocol_end(protocol, sys_now());
}

/** False: nothing was begun. */
static bool connect_to(const ip_addr_t *address) {
  struct mqtt_connect_client_info_t info;
  memset(&info, 0, sizeof info);
  info.client_id = config->device_id;
  info.keep_alive = KEEP_ALIVE_S;
  info.tls_config = tls;
  if (mqtt_client_connect(&client, address, config->port, connection_changed, NULL, &info) != ERR_OK) return false;
  mqtt_set_inpub_callback(&client, publish_begins, publish_data, NULL); /* connecting wiped it */
  altcp_nagle_disable(client.conn);
  /* Without a name to check, any certificate of the same root would do: then rather no connection. */
  if (mbedtls_ssl_set_hostname(altcp_tls_context(client.conn), config->host) != 0) {
    mqtt_disconnect(&client);
    return false;
  }
  return true;
}

static void name_found(const char *name, const ip_addr_t *address, void *arg) {
  (void)name;
  if ((unsigned)(uintptr_t)arg != generation) return;
  if (address == NULL) {
    events.resolve_failed = true;
  } else {
    events.address = *address;
    events.resolved = true;
  }
}

static bool transport_connect(void *ctx) {
  ip_addr_t address;
  (void)ctx;
  memset(&events, 0, sizeof events);
  generation++;
  altcp_tls_last_error = 0;
  if (config->has_host_address) {
    IP_ADDR4(&address, config->host_address[0], config->host_address[1], config->host_address[2],
             config->host_address[3]);
    return connect_to(&address);
  }
  err_t result = dns_gethostbyname(config->host, &address, name_found, (void *)(uintptr_t)generation);
  if (result == ERR_OK) return connect_to(&address);
  return result == ERR_INPROGRESS;
}

static void transport_disconnect(void *ctx) {
  (void)ctx;
  generation++;
  memset(&events, 0, sizeof events);
  /* A peer that is not there cannot take part in an orderly close: abort, which also frees all memory at once. */
  if (client.conn != NULL) {
    struct altcp_pcb *conn = client.conn;
    altcp_arg(conn, NULL);
    altcp_recv(conn, NULL);
    altcp_sent(conn, NULL);
    altcp_err(conn, NULL);
    client.conn = NULL;
    altcp_abort(conn);
  }
  mqtt_disconnect(&client);
}

static void subscribe_answered(void *arg, err_t result) {
  (void)arg;
  if (result == ERR_OK) events.subscribed = true;
  else events.subscribe_refused = true;
}

static bool transport_subscribe(void *ctx, const char *topic_filter) {
  (void)ctx;
  return mqtt_subscribe(&client, topic_filter, 1, subscribe_answered, NULL) == ERR_OK;
}

static void publish_answered(void *arg, err_t result) {
  (void)arg;
  if (result == ERR_OK) events.acknowledged++;
  else events.unacknowledged++;
}

static size_t ring_used(void) {
  size_t put = client.output.put;
  size_t get = client.output.get;
  return put >= get ? put - get : put + MQTT_OUTPUT_RINGBUF_SIZE - get;
}

static enum pt_publish_result transport_publish(void *ctx, const struct pt_message *message) {
  (void)ctx;
  if (!mqtt_client_is_connected(&client)) return PT_PUBLISH_GONE;
  /* Fixed header 3, topic length 2, packet id 2 (MQTT-3.3). */
  size_t need = 7u + strlen(message->topic) + message->payload_length + ACK_RESERVE;
  if (ring_used() + need >= MQTT_OUTPUT_RINGBUF_SIZE) return PT_PUBLISH_BUSY;
  err_t result = mqtt_publish(&client, message->topic, message->payload, (u16_t)message->payload_length,
                              (message->flags & PT_MESSAGE_ACKNOWLEDGED) != 0 ? 1 : 0, 0, publish_answered, NULL);
  return result == ERR_OK ? PT_PUBLISH_SENT : PT_PUBLISH_BUSY;
}

static bool transport_ready(void *ctx) {
  (void)ctx;
  return pt_net_ready();
}

static uint32_t transport_random(void *ctx) {
  (void)ctx;
  return pt_port_random();
}

static void transport_restart(void *ctx) {
  (void)ctx;
  transport_disconnect(NULL);
  pt_port_hal()->reset(pt_port_hal()->ctx);
}

static void transport_log(void *ctx, const char *line) {
  (void)ctx;
  pt_port_log(line);
}

const struct pt_transport *pt_mqtt_transport(void) {
  static struct pt_transport transport;
  transport.network_ready = transport_ready;
  transport.connect = transport_connect;
  transport.disconnect = transport_disconnect;
  transport.subscribe = transport_subscribe;
  transport.publish = transport_publish;
  transport.random = transport_random;
  transport.restart = transport_restart;
  transport.log = transport_log;
  return &transport;
}

void pt_mqtt_init(const struct pt_config *the_config, struct altcp_tls_config *the_tls,
                  struct pt_protocol *the_protocol) {
  config = the_config;
  tls = the_tls;
  protocol = the_protocol;
}

static void resume_held(void) {
  if (!was_held || client.conn == NULL || !pt_protocol_has_room(protocol)) return;
  was_held = false;
  mqtt_resume_rx(&client);
  if (client.conn != NULL && client.rx_held == NULL) (void)altcp_tls_resume_rx(client.conn);
}

void pt_mqtt_poll(struct pt_session *session, uint32_t now_ms) {
  if (events.resolved || events.resolve_failed) {
    bool begun = events.resolved && connect_to(&events.address);
    events.resolved = false;
    events.resolve_failed = false;
    if (!begun) events.closed = "the broker's name has no address, or the connection could not begin";
  }
  if (events.closed != NULL) {
    const char *reason = events.closed;
    memset(&events, 0, sizeof events);
    pt_session_closed(session, reason, now_ms);
    return;
  }
  if (events.connected) {
    events.connected = false;
    pt_session_connected(session, now_ms);
  }
  if (events.subscribed || events.subscribe_refused) {
    bool granted = events.subscribed;
    events.subscribed = false;
    events.subscribe_refused = false;
    pt_session_subscribed(session, granted, now_ms);
  }
  for (; events.acknowledged > 0; events.acknowledged--) pt_session_published(session, true, now_ms);
  if (events.unacknowledged > 0) {
    events.unacknowledged = 0;
    pt_session_published(session, false, now_ms);
  }
  resume_held();
}
