#include "core/state.h"

#include <string.h>

#include "core/crc32.h"

/* Layout, little endian: magic 4, boots 4, flags 1, mac 6, zero 1, clock_base 4, seed 32, zeros, crc 4 at the end. */
#define AT_BOOTS 4u
#define AT_FLAGS 8u
#define AT_MAC 9u
#define AT_CLOCK_BASE 16u
#define AT_SEED 20u
#define AT_CRC (POSTERN_STATE_SIZE - 4u)

#define FLAG_SEED 1u
#define FLAG_CLOCK_SET 2u
#define FLAG_MAC 4u

static const uint8_t MAGIC[4] = {'P', 'S', 'T', 'S'};

static void put_u32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; i--) value = (value << 8) | at[i];
  return value;
}

bool pt_state_load(const struct postern_hal *hal, struct pt_state *state) {
  uint8_t raw[POSTERN_STATE_SIZE];
  memset(state, 0, sizeof *state);
  if (!hal->state_read(hal->ctx, raw)) return false;
  if (memcmp(raw, MAGIC, sizeof MAGIC) != 0 || pt_crc32(0, raw, AT_CRC) != get_u32(raw + AT_CRC)) return false;
  state->boots = get_u32(raw + AT_BOOTS);
  state->has_seed = (raw[AT_FLAGS] & FLAG_SEED) != 0;
  state->clock_set = (raw[AT_FLAGS] & FLAG_CLOCK_SET) != 0;
  state->has_mac = (raw[AT_FLAGS] & FLAG_MAC) != 0;
  state->clock_base = get_u32(raw + AT_CLOCK_BASE);
  memcpy(state->mac, raw + AT_MAC, sizeof state->mac);
  memcpy(state->seed, raw + AT_SEED, sizeof state->seed);
  memset(raw, 0, sizeof raw);
  return true;
}

bool pt_state_save(const struct postern_hal *hal, const struct pt_state *state) {
  uint8_t raw[POSTERN_STATE_SIZE];
  memset(raw, 0, sizeof raw);
  memcpy(raw, MAGIC, sizeof MAGIC);
  put_u32(raw + AT_BOOTS, state->boots);
  raw[AT_FLAGS] = (uint8_t)((state->has_seed ? FLAG_SEED : 0u) | (state->clock_set ? FLAG_CLOCK_SET : 0u) |
                            (state->has_mac ? FLAG_MAC : 0u));
  memcpy(raw + AT_MAC, state->mac, sizeof state->mac);
  put_u32(raw + AT_CLOCK_BASE, state->clock_base);
  memcpy(raw + AT_SEED, state->seed, sizeof state->seed);
  put_u32(raw + AT_CRC, pt_crc32(0, raw, AT_CRC));
  bool saved = hal->state_write(hal->ctx, raw);
  memset(raw, 0, sizeof raw);
  return saved;
}
