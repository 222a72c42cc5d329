/** What the device itself keeps over a restart: the entropy seed, a MAC address that was set, and its clock's base. */
#ifndef POSTERN_STATE_H
#define POSTERN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/hal.h"

#define PT_SEED_LENGTH 32u

struct pt_state {
  uint8_t seed[PT_SEED_LENGTH];
  uint32_t boots;     /**< how often the device started, for the entropy pool and the log */
  bool has_seed;      /**< false on the first start: the seed is the configuration block's */
  bool clock_set;     /**< the clock was set over an authenticated session */
  uint32_t clock_base; /**< seconds to add to what the clock chip says; modulo 2^32 */
  bool has_mac;
  uint8_t mac[POSTERN_MAC_LENGTH];
};

/** Reads it, or sets it to the first start's where there is none or it is damaged. True: it was there. */
bool pt_state_load(const struct postern_hal *hal, struct pt_state *state);
bool pt_state_save(const struct postern_hal *hal, const struct pt_state *state);

#endif
