/** What the parts of port/ share: the board, lwIP's interface, TLS and the MQTT client around one main loop. */
#ifndef POSTERN_PORT_H
#define POSTERN_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/methods.h"
#include "core/session.h"
#include "core/state.h"
#include "postern/hal.h"

#define PT_MODEL "FT900"
#define PT_VERSION "0.1.0"

/** Set first of all; lwIP's and mbedTLS's callbacks have no other way to find the board. */
void pt_port_set_hal(const struct postern_hal *hal);
const struct postern_hal *pt_port_hal(void);
void pt_port_log(const char *line);

/** entropy.c. Mixes the kept seed, the block's seed and jitter, and writes a new seed before anything is used. */
bool pt_entropy_init(struct pt_state *state, const uint8_t *block_seed, size_t block_seed_length);

/** clock.c. The clock that mbedTLS asks. */
void pt_clock_init(struct pt_device *device);
/** The time in epoch seconds, and whether a certificate may be refused because of it. */
bool pt_clock_trusted(const void *own_certificate, uint32_t *epoch);

/** tls.c. The one TLS configuration, made at start. NULL: the block's certificates or key cannot be used. */
struct altcp_tls_config *pt_tls_config(const struct pt_config *config);

/** net.c */
void pt_net_init(const struct pt_config *config, const uint8_t mac[POSTERN_MAC_LENGTH]);
/** Frames, timers, link and DHCP; false if there was nothing to do. */
bool pt_net_poll(void);
bool pt_net_ready(void);
void pt_net_addresses(void *unused, struct pt_addresses *addresses);
void pt_net_set_mac(void *unused, const uint8_t mac[POSTERN_MAC_LENGTH]);

/** mqtt.c */
void pt_mqtt_init(const struct pt_config *config, struct altcp_tls_config *tls, struct pt_protocol *protocol);
/** The transport that pt_session wants. */
const struct pt_transport *pt_mqtt_transport(void);
/** Hands what happened in lwIP's callbacks to the session, and goes on with what was held back. */
void pt_mqtt_poll(struct pt_session *session, uint32_t now_ms);

/** Runs for ever; a block that cannot be used is said once and then every minute. */
void pt_firmware_run(const struct postern_hal *hal);

#endif
