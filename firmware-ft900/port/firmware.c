#include <string.h>

#include "port/port.h"

/** How often a device that cannot work says why, in ms. */
#define COMPLAINT_MS 60000u
/** 2000-01-01T00:00:00Z. */
#define CLOCK_START 946684800u

static const struct postern_hal *board;

void pt_port_set_hal(const struct postern_hal *hal) { board = hal; }

const struct postern_hal *pt_port_hal(void) { return board; }

void pt_port_log(const char *line) { board->log(board->ctx, line); }

void pt_port_assert(const char *message, int line) {
  char buffer[128];
  struct pt_text text;
  pt_text_init(&text, buffer, sizeof buffer);
  pt_text_string(&text, "assertion failed: ");
  pt_text_string(&text, message);
  pt_text_string(&text, ", line ");
  pt_text_u32(&text, (uint32_t)line);
  pt_port_log(buffer);
  board->reset(board->ctx);
}

#ifdef PT_MEASURE
#include "lwip/stats.h"

static void log_count(const char *name, uint32_t used, uint32_t there) {
  char buffer[64];
  struct pt_text text;
  pt_text_init(&text, buffer, sizeof buffer);
  pt_text_string(&text, "measure: ");
  pt_text_string(&text, name);
  pt_text_char(&text, ' ');
  pt_text_u32(&text, used);
  pt_text_string(&text, " of ");
  pt_text_u32(&text, there);
  pt_port_log(buffer);
}

/* For docs/size.md: the most that was in use at once. */
static void log_peaks(uint32_t now_ms) {
  static uint32_t last_ms;
  if (now_ms - last_ms < 1000u) return;
  last_ms = now_ms;
  log_count("heap", lwip_stats.mem.max, MEM_SIZE);
  log_count("pbuf pool", lwip_stats.memp[MEMP_PBUF_POOL]->max, PBUF_POOL_SIZE);
  log_count("tcp segments", lwip_stats.memp[MEMP_TCP_SEG]->max, MEMP_NUM_TCP_SEG);
}
#endif

static void complain_for_ever(const char *line) {
  for (;;) {
    pt_port_log(line);
    uint32_t since = board->now_ms(board->ctx);
    while (board->now_ms(board->ctx) - since < COMPLAINT_MS) {
      board->watchdog_feed(board->ctx);
      board->idle(board->ctx);
    }
  }
}

/* A locally administered address (IEEE 802 8.2) of the device's own, where the block gives none. */
static void default_mac(const struct pt_config *config, uint8_t mac[POSTERN_MAC_LENGTH]) {
  uint32_t hash = 2166136261u;
  for (const char *c = config->device_id; *c != '\0'; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
  mac[0] = 0x02;
  mac[1] = 0x50;
  for (int i = 0; i < 4; i++) mac[2 + i] = (uint8_t)(hash >> (8 * i));
}

/**
 * The block is read into RAM that the queue uses later: 4 KB that are needed twice, but never at once. What must
 * stay of it, certificates and key, mbedTLS has copied by then.
 */
static union {
  uint8_t block[PT_CONFIG_MAX];
  struct pt_outq queue;
} shared;

static enum pt_config_status read_config(struct pt_config *config, uint8_t *block, size_t size) {
  size_t length = board->config_read(board->ctx, 0, block, 12u);
  if (length < 12u) return PT_CONFIG_NOT_THERE;
  size_t total = pt_config_peek_length(block);
  if (total > 12u && total <= size) length += board->config_read(board->ctx, 12u, block + 12u, total - 12u);
  return pt_config_parse(block, length, config);
}

/* A clock that lost its power says no time at all: let it run, from where nobody takes it for the true one. */
static void start_clock(const struct postern_hal *hal) {
  uint32_t now;
  if (!hal->rtc_read(hal->ctx, &now)) (void)hal->rtc_write(hal->ctx, CLOCK_START);
}

static void wipe(volatile uint8_t *bytes, size_t length) {
  while (length-- > 0) *bytes++ = 0;
}

void pt_firmware_run(const struct postern_hal *hal) {
  static struct pt_config config;
  static struct pt_state state;
  static struct pt_device device;
  static struct pt_protocol protocol;
  static struct pt_session session;
  pt_port_set_hal(hal);
  pt_port_log("postern " PT_MODEL " " PT_VERSION);
  enum pt_config_status status = read_config(&config, shared.block, sizeof shared.block);
  if (status != PT_CONFIG_OK) complain_for_ever(pt_config_explain(status));
  (void)pt_state_load(hal, &state);
  device = (struct pt_device){hal, &state, NULL, pt_net_addresses, pt_net_set_mac};
  pt_clock_init(&device);
  start_clock(hal);
  if (!pt_entropy_init(&state, config.seed, config.seed_length))
    complain_for_ever("state: the seed could not be kept, and without that keys could repeat");
  uint8_t mac[POSTERN_MAC_LENGTH];
  default_mac(&config, mac);
  if (config.has_mac) memcpy(mac, config.mac, sizeof mac);
  if (state.has_mac) memcpy(mac, state.mac, sizeof mac);
  pt_net_init(&config, mac);
  struct altcp_tls_config *tls = pt_tls_config(&config);
  wipe(shared.block, sizeof shared.block);
  config.key = NULL;
  config.ca = NULL;
  config.certificate = NULL;
  config.seed = NULL;
  if (tls == NULL) complain_for_ever("configuration: the certificates or the key in the block cannot be used");
  pt_outq_init(&shared.queue);
  pt_protocol_init(&protocol, &device, &shared.queue, config.device_id);
  pt_mqtt_init(&config, tls, &protocol);
  pt_session_init(&session, pt_mqtt_transport(), &protocol, PT_MODEL, PT_VERSION);
  for (;;) {
    bool worked = pt_net_poll();
    uint32_t now = hal->now_ms(hal->ctx);
    pt_mqtt_poll(&session, now);
    pt_session_poll(&session, now);
    hal->watchdog_feed(hal->ctx);
#ifdef PT_MEASURE
    log_peaks(now);
#endif
    if (!worked) hal->idle(hal->ctx);
  }
}
