/* libFuzzer: any topic and payload, in any pieces, as a request. The first line of the input is the topic. */
#include <string.h>

#include "../test/board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct board board;
  static struct pt_outq queue;
  static struct pt_protocol protocol;
  static const char id[] = "dabcdefghijklmnopqrst";
  struct pt_message message;
  char topic[300];
  board_init(&board);
  pt_outq_init(&queue);
  pt_protocol_init(&protocol, &board.device, &queue, id);
  while (size > 0) {
    const uint8_t *line = memchr(data, '\n', size);
    size_t length = line == NULL ? size : (size_t)(line - data);
    if (length > sizeof topic - 30u) return 0;
    memcpy(topic, id, sizeof id - 1u);
    topic[sizeof id - 1u] = '/';
    memcpy(topic + sizeof id, data, length);
    topic[sizeof id + length] = '\0';
    data += line == NULL ? length : length + 1u;
    size -= line == NULL ? length : length + 1u;
    /* A request ends at a form feed; what follows is the next one. */
    const uint8_t *end = memchr(data, '\f', size);
    size_t payload = end == NULL ? size : (size_t)(end - data);
    pt_protocol_begin(&protocol, topic);
    size_t half = payload / 2u;
    pt_protocol_data(&protocol, data, half);
    pt_protocol_data(&protocol, data + half, payload - half);
    pt_protocol_end(&protocol, 0);
    data += end == NULL ? payload : payload + 1u;
    size -= end == NULL ? payload : payload + 1u;
    if (pt_outq_first(&queue, &message)) {
      /* Whatever came: an answer goes below the device's own topic, and is an object. */
      if (strncmp(message.topic, "server/dabcdefghijklmnopqrst/", 29) != 0 || message.payload_length < 2u ||
          message.payload[0] != '{' || message.payload[message.payload_length - 1u] != '}')
        __builtin_trap();
      struct pt_json_object object;
      if (pt_json_parse(message.payload, message.payload_length, &object) != PT_JSON_OK) __builtin_trap();
      pt_outq_drop(&queue);
    }
    if (queue.count != 0) __builtin_trap();
  }
  return 0;
}
