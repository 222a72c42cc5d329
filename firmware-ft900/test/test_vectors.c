/* The wire contract's golden vectors, which the TypeScript tests read as well, and those of the configuration block. */
#include "vectors.h"

#include <string.h>

#include "board.h"
#include "check.h"

static struct board board;
static struct pt_outq queue;
static struct pt_protocol protocol;

static void start(void) {
  board_init(&board);
  pt_outq_init(&queue);
  pt_protocol_init(&protocol, &board.device, &queue, EXCHANGE_DEVICE_ID);
}

static void request(const char *topic, const char *payload) {
  pt_protocol_begin(&protocol, topic);
  pt_protocol_data(&protocol, (const uint8_t *)payload, strlen(payload));
  pt_protocol_end(&protocol, 0);
}

static void name_failure(unsigned before, const char *name) {
  if (check_failures == before) return;
  check_print("  in: ");
  check_print(name);
  check_print("\n");
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static void test_requests(void) {
  struct pt_message message;
  char topic[64];
  for (size_t i = 0; i < REQUEST_VECTOR_COUNT; i++) {
    const struct request_vector *vector = &REQUEST_VECTORS[i];
    unsigned before = check_failures;
    start();
    strcpy(topic, EXCHANGE_DEVICE_ID);
    strcat(topic, "/");
    strcat(topic, vector->method);
    request(topic, vector->request);
    CHECK(pt_outq_first(&queue, &message));
    CHECK(starts_with(message.topic, "server/") && strcmp(message.topic + 7, topic) == 0);
    if (vector->reply == NULL) CHECK(starts_with(message.payload, "{\"error\":{\"code\":\"BAD_REQUEST\",\"message\":\""));
    else if (vector->reply_varies) CHECK(starts_with(message.payload, "{\"value\":"));
    else CHECK(strcmp(message.payload, vector->reply) == 0);
    name_failure(before, vector->request);
  }
}

static void test_exchanges(void) {
  struct pt_message message;
  start();
  for (size_t i = 0; i < EXCHANGE_VECTOR_COUNT; i++) {
    const struct exchange_vector *vector = &EXCHANGE_VECTORS[i];
    unsigned before = check_failures;
    request(vector->topic, vector->payload);
    bool answered = pt_outq_first(&queue, &message);
    if (vector->answer_topic == NULL) {
      CHECK(!answered || vector->answer_may_repeat);
    } else {
      CHECK(answered && strcmp(message.topic, vector->answer_topic) == 0);
      if (vector->answer != NULL) {
        CHECK(answered && strcmp(message.payload, vector->answer) == 0);
      } else {
        CHECK(starts_with(message.payload, "{\"error\":{\"code\":\"") &&
              starts_with(message.payload + 18, vector->error_code));
        CHECK(strstr(message.payload, vector->correlation) != NULL);
      }
    }
    pt_outq_drop(&queue);
    CHECK(queue.count == 0);
    name_failure(before, vector->name);
  }
}

void test_vectors(void) {
  CHECK(REQUEST_VECTOR_COUNT > 30 && EXCHANGE_VECTOR_COUNT > 5);
  test_requests();
  test_exchanges();
}

static bool same(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
  return a_length == b_length && memcmp(a, b, a_length) == 0;
}

void test_config(void) {
  static struct pt_config config;
  for (size_t i = 0; i < BLOCK_VECTOR_COUNT; i++) {
    const struct block_vector *vector = &BLOCK_VECTORS[i];
    unsigned before = check_failures;
    CHECK(pt_config_peek_length(vector->block) == vector->length);
    CHECK(pt_config_parse(vector->block, vector->length, &config) == PT_CONFIG_OK);
    CHECK(strcmp(config.device_id, vector->device_id) == 0 && strcmp(config.host, vector->host) == 0);
    CHECK(config.port == vector->port);
    CHECK(same(config.ca, config.ca_length, vector->ca, vector->ca_length));
    CHECK(same(config.certificate, config.certificate_length, vector->certificate, vector->certificate_length));
    CHECK(same(config.key, config.key_length, vector->key, vector->key_length));
    CHECK(same(config.seed, config.seed_length, vector->seed, vector->seed_length));
    CHECK(config.has_network == vector->has_network);
    CHECK(memcmp(&config.network, &vector->network, sizeof config.network) == 0);
    CHECK(config.has_mac == vector->has_mac && memcmp(config.mac, vector->mac, sizeof config.mac) == 0);
    CHECK(config.has_host_address == vector->has_host_address &&
          memcmp(config.host_address, vector->host_address, sizeof config.host_address) == 0);
    for (size_t length = 0; length < vector->length; length++) /* no beginning of it passes */
      CHECK(pt_config_parse(vector->block, length, &config) != PT_CONFIG_OK);
    name_failure(before, vector->name);
  }
  for (size_t i = 0; i < BAD_BLOCK_VECTOR_COUNT; i++) {
    const struct bad_block_vector *vector = &BAD_BLOCK_VECTORS[i];
    unsigned before = check_failures;
    CHECK(pt_config_parse(vector->block, vector->length, &config) == vector->status);
    CHECK(strlen(pt_config_explain(vector->status)) > 20);
    name_failure(before, vector->name);
  }
}
