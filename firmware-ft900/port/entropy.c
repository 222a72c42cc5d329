#include <string.h>

#include "mbedtls/entropy.h"
#include "mbedtls/entropy_poll.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/sha256.h"
#include "port/port.h"

/** Samples of the fast counter for one draw; each is counted as a fraction of a bit, so there are many. */
#define JITTER_SAMPLES 256u

/** The pool. Hashing it with a counter gives what mbedTLS draws; a new seed was written before it is first used. */
static uint8_t pool[PT_SEED_LENGTH];
static uint32_t draws;
static bool ready;

static void add_jitter(mbedtls_sha256_context *sha) {
  const struct postern_hal *hal = pt_port_hal();
  for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
    uint32_t sample = hal->jitter(hal->ctx);
    uint8_t bytes[4];
    memcpy(bytes, &sample, sizeof bytes);
    (void)mbedtls_sha256_update_ret(sha, bytes, sizeof bytes);
  }
}

static void derive(const uint8_t key[PT_SEED_LENGTH], const char *label, uint32_t number, uint8_t out[32]) {
  mbedtls_sha256_context sha;
  uint8_t bytes[4];
  memcpy(bytes, &number, sizeof bytes);
  mbedtls_sha256_init(&sha);
  (void)mbedtls_sha256_starts_ret(&sha, 0);
  (void)mbedtls_sha256_update_ret(&sha, (const uint8_t *)label, strlen(label));
  (void)mbedtls_sha256_update_ret(&sha, key, PT_SEED_LENGTH);
  (void)mbedtls_sha256_update_ret(&sha, bytes, sizeof bytes);
  add_jitter(&sha);
  (void)mbedtls_sha256_finish_ret(&sha, out);
  mbedtls_sha256_free(&sha);
}

bool pt_entropy_init(struct pt_state *state, const uint8_t *block_seed, size_t block_seed_length) {
  mbedtls_sha256_context sha;
  uint8_t mixed[PT_SEED_LENGTH];
  mbedtls_sha256_init(&sha);
  (void)mbedtls_sha256_starts_ret(&sha, 0);
  if (state->has_seed) (void)mbedtls_sha256_update_ret(&sha, state->seed, sizeof state->seed);
  (void)mbedtls_sha256_update_ret(&sha, block_seed, block_seed_length);
  add_jitter(&sha);
  (void)mbedtls_sha256_finish_ret(&sha, mixed);
  mbedtls_sha256_free(&sha);
  state->boots++;
  derive(mixed, "postern next seed", state->boots, state->seed);
  derive(mixed, "postern pool", state->boots, pool);
  mbedtls_platform_zeroize(mixed, sizeof mixed);
  state->has_seed = true;
  /* Kept before anything is drawn: two starts never use the same pool, also when the power fails in between. */
  ready = pt_state_save(pt_port_hal(), state);
  return ready;
}

/* mbedTLS's name and signature for the source that MBEDTLS_ENTROPY_HARDWARE_ALT asks for. */
int mbedtls_hardware_poll(void *data, unsigned char *output, size_t length, size_t *written) {
  uint8_t block[32];
  (void)data;
  if (!ready) return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
  size_t count = length < sizeof block ? length : sizeof block;
  derive(pool, "postern draw", ++draws, block);
  memcpy(output, block, count);
  mbedtls_platform_zeroize(block, sizeof block);
  *written = count;
  return 0;
}

/* For lwIP's ports and sequence numbers, and for the backoff's jitter: unpredictable, not secret. */
uint32_t pt_port_random(void) {
  static uint32_t state;
  const struct postern_hal *hal = pt_port_hal();
  if (state == 0) memcpy(&state, pool + 8, sizeof state);
  uint32_t x = state ^ hal->jitter(hal->ctx) ^ (hal->now_ms(hal->ctx) << 12);
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  state = x ^ (x >> 16);
  return state;
}
