/*
 * lwIP's MQTT client with our patch: any bytes from the broker, in any pieces, and now and then held back.
 * With -DSPLIT_TEST: a PUBLISH that is cut at each byte in turn, and in two places, arrives whole.
 */
#include "../.tools/src/lwip/src/apps/mqtt/mqtt.c"

#include "lwip/priv/altcp_priv.h"
#include "lwip/timeouts.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned hold_seed;
static char topic_seen[600];
static uint8_t payload_seen[8192];
static size_t payload_length;
static unsigned messages;

int pt_mqtt_rx_hold(void) {
  hold_seed = hold_seed * 1103515245u + 12345u;
  return (hold_seed >> 16 & 7u) == 0 && (hold_seed & 0x80000000u) != 0;
}

void pt_port_assert(const char *message, int line) {
  fprintf(stderr, "%s, line %d\n", message, line);
  abort();
}

uint32_t pt_port_random(void) { return 4; }
u32_t sys_now(void) { return 0; }

static void fake_recved(struct altcp_pcb *conn, u16_t len) { (void)conn; (void)len; }
static err_t fake_close(struct altcp_pcb *conn) { (void)conn; return ERR_OK; }
static err_t fake_write(struct altcp_pcb *conn, const void *data, u16_t len, u8_t flags) {
  (void)conn; (void)data; (void)len; (void)flags;
  return ERR_OK;
}
static err_t fake_output(struct altcp_pcb *conn) { (void)conn; return ERR_OK; }
static u16_t fake_sndbuf(struct altcp_pcb *conn) { (void)conn; return 500; }
static void fake_poll(struct altcp_pcb *conn, u8_t interval) { (void)conn; (void)interval; }

static struct altcp_functions functions; /* the ones that mqtt.c calls */
static struct altcp_pcb pcb;
static mqtt_client_t client;

static void begins(void *arg, const char *topic, u32_t total) {
  (void)arg;
  (void)total;
  snprintf(topic_seen, sizeof topic_seen, "%s", topic);
  payload_length = 0;
}

static void piece(void *arg, const u8_t *data, u16_t len, u8_t flags) {
  (void)arg;
  for (u16_t i = 0; i < len; i++)
    if (payload_length < sizeof payload_seen) payload_seen[payload_length++] = data[i];
  if ((flags & MQTT_DATA_FLAG_LAST) != 0) messages++;
}

static void connect_client(void) {
  functions.recved = fake_recved;
  functions.close = fake_close;
  functions.write = fake_write;
  functions.output = fake_output;
  functions.sndbuf = fake_sndbuf;
  functions.set_poll = fake_poll;
  pcb.fns = &functions;
  memset(&client, 0, sizeof client);
  mqtt_init_requests(client.req_list, LWIP_ARRAYSIZE(client.req_list));
  client.conn = &pcb;
  client.conn_state = MQTT_CONNECTED;
  client.keep_alive = 30;
  mqtt_set_inpub_callback(&client, begins, piece, NULL);
  payload_length = 0;
  messages = 0;
  topic_seen[0] = '\0';
}

/* False: the client closed the connection. */
static int feed(const uint8_t *data, size_t size) {
  struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
  if (p == NULL) abort();
  pbuf_take(p, data, (u16_t)size);
  for (int turn = 0; turn < 1000; turn++) {
    if (client.conn == NULL) {
      pbuf_free(p);
      return 0;
    }
    if (mqtt_tcp_recv_cb(&client, client.conn, p, ERR_OK) == ERR_OK) break;
    mqtt_resume_rx(&client);
  }
  for (int turn = 0; client.rx_held != NULL && turn < 1000; turn++) mqtt_resume_rx(&client);
  client.output.get = client.output.put; /* sent */
  return client.conn != NULL;
}

static void end_client(void) {
  if (client.conn != NULL) mqtt_close(&client, MQTT_CONNECT_DISCONNECTED);
}

#ifndef SPLIT_TEST
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int once;
  if (!once++) {
    mem_init();
    memp_init();
    sys_timeouts_init();
  }
  if (size < 4) return 0;
  memcpy(&hold_seed, data, 4);
  data += 4;
  size -= 4;
  connect_client();
  while (size > 0) {
    hold_seed = hold_seed * 1103515245u + 12345u;
    size_t part = 1u + (hold_seed >> 8) % 300u;
    if (part > size) part = size;
    if (!feed(data, part)) break;
    data += part;
    size -= part;
  }
  end_client();
  return 0;
}
#else
static size_t make_publish(uint8_t *out, size_t payload) {
  static const char topic[] = "dabcdefghijklmnopqrst/write_uart";
  size_t topic_length = sizeof topic - 1u;
  size_t rest = 2u + topic_length + 2u + payload;
  size_t at = 0;
  out[at++] = 0x32; /* PUBLISH, QoS 1 */
  do {
    out[at++] = (uint8_t)((rest & 0x7fu) | (rest > 127u ? 0x80u : 0u));
    rest >>= 7;
  } while (rest > 0);
  out[at++] = 0;
  out[at++] = (uint8_t)topic_length;
  memcpy(out + at, topic, topic_length);
  at += topic_length;
  out[at++] = 0;
  out[at++] = 7;
  for (size_t i = 0; i < payload; i++) out[at++] = (uint8_t)(i * 7u + i / 256u);
  return at;
}

static int arrived(size_t payload, unsigned count) {
  if (messages != count || payload_length != payload || strcmp(topic_seen, "dabcdefghijklmnopqrst/write_uart") != 0)
    return 0;
  for (size_t i = 0; i < payload; i++)
    if (payload_seen[i] != (uint8_t)(i * 7u + i / 256u)) return 0;
  return 1;
}

int main(void) {
  static uint8_t stream[8192];
  static const size_t sizes[] = {0, 1, 72, 400, 500, 1024, 1500};
  unsigned good = 0;
  unsigned tried = 0;
  mem_init();
  memp_init();
  sys_timeouts_init();
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    size_t one = make_publish(stream, sizes[s]);
    size_t both = one + make_publish(stream + one, sizes[s]); /* and a second one behind it */
    for (size_t cut = 1; cut < both; cut++) {
      for (int held = 0; held < 2; held++) {
        size_t second = cut + (both - cut) / 3u;
        hold_seed = held ? 0x9e3779b9u * (unsigned)cut : 0;
        connect_client();
        tried++;
        if (feed(stream, cut) && (second == cut || feed(stream + cut, second - cut)) &&
            feed(stream + second, both - second) && arrived(sizes[s], 2))
          good++;
        end_client();
      }
    }
  }
  printf("%u of %u ways to cut two PUBLISH packets arrived whole\n", good, tried);
  return good == tried ? 0 : 1;
}
#endif
