/** The golden vectors of protocol/vectors, as tools/vectors-to-c.mjs writes them. */
#ifndef POSTERN_TEST_VECTORS_H
#define POSTERN_TEST_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

struct request_vector {
  const char *method;
  const char *request;
  const char *reply; /**< NULL: must be refused */
  bool reply_varies;
};

struct exchange_vector {
  const char *name;
  const char *topic;
  const char *payload;
  const char *answer_topic; /**< NULL: no answer */
  const char *answer;       /**< NULL: an error of this code and correlation */
  const char *error_code;
  const char *correlation;
  bool answer_may_repeat;
};

struct block_vector {
  const char *name;
  const uint8_t *block;
  size_t length;
  const char *device_id;
  const char *host;
  uint16_t port;
  const uint8_t *ca;
  size_t ca_length;
  const uint8_t *certificate;
  size_t certificate_length;
  const uint8_t *key;
  size_t key_length;
  const uint8_t *seed;
  size_t seed_length;
  bool has_network;
  struct pt_network network;
  bool has_mac;
  uint8_t mac[6];
  bool has_host_address;
  uint8_t host_address[4];
};

struct bad_block_vector {
  const char *name;
  enum pt_config_status status;
  const uint8_t *block;
  size_t length;
};

extern const struct request_vector REQUEST_VECTORS[];
extern const size_t REQUEST_VECTOR_COUNT;
extern const char *const EXCHANGE_DEVICE_ID;
extern const struct exchange_vector EXCHANGE_VECTORS[];
extern const size_t EXCHANGE_VECTOR_COUNT;
extern const struct block_vector BLOCK_VECTORS[];
extern const size_t BLOCK_VECTOR_COUNT;
extern const struct bad_block_vector BAD_BLOCK_VECTORS[];
extern const size_t BAD_BLOCK_VECTOR_COUNT;

#endif
