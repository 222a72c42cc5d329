#include "core/outq.h"

#include <string.h>

/* A record: length of all 2, length of topic with NUL 2, payload length 2, flags 2, queued_at 4, topic, payload, NUL. */
#define RECORD_HEADER 12u

static void put_u16(uint8_t *at, size_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
}

static size_t get_u16(const uint8_t *at) { return (size_t)at[0] | ((size_t)at[1] << 8); }

void pt_outq_init(struct pt_outq *queue) {
  queue->head = 0;
  queue->tail = 0;
  queue->wrap = PT_OUTQ_SIZE;
  queue->opened = 0;
  queue->count = 0;
}

/** Where a record of this size can start; false if nowhere. */
static bool find_room(const struct pt_outq *queue, size_t need, size_t *start) {
  if (queue->count == 0) {
    *start = 0;
    return need <= PT_OUTQ_SIZE;
  }
  if (queue->tail > queue->head) {
    if (need <= PT_OUTQ_SIZE - queue->tail) {
      *start = queue->tail;
      return true;
    }
    *start = 0;
    return need <= queue->head;
  }
  *start = queue->tail;
  return need <= queue->head - queue->tail;
}

static size_t record_size(size_t topic_length, size_t payload_max) {
  return RECORD_HEADER + topic_length + 1u + payload_max + 1u;
}

bool pt_outq_has_room(const struct pt_outq *queue, size_t topic_length, size_t payload_max) {
  size_t start;
  return find_room(queue, record_size(topic_length, payload_max), &start);
}

bool pt_outq_open(struct pt_outq *queue, const char *topic, size_t payload_max, struct pt_text *payload) {
  size_t start;
  size_t topic_length = strlen(topic);
  if (!find_room(queue, record_size(topic_length, payload_max), &start)) return false;
  queue->opened = start;
  uint8_t *record = queue->bytes + start;
  put_u16(record + 2, topic_length + 1u);
  memcpy(record + RECORD_HEADER, topic, topic_length + 1u);
  pt_text_init(payload, (char *)record + RECORD_HEADER + topic_length + 1u, payload_max + 1u);
  return true;
}

void pt_outq_commit(struct pt_outq *queue, const struct pt_text *payload, uint32_t now_ms, unsigned flags) {
  if (queue->opened != queue->tail) {
    if (queue->count == 0) queue->head = queue->opened;
    else queue->wrap = queue->tail;
    queue->tail = queue->opened;
  }
  uint8_t *record = queue->bytes + queue->tail;
  size_t length = record_size(get_u16(record + 2) - 1u, payload->length);
  put_u16(record, length);
  put_u16(record + 4, payload->length);
  put_u16(record + 6, flags);
  put_u16(record + 8, now_ms & 0xffffu);
  put_u16(record + 10, now_ms >> 16);
  queue->tail += length;
  queue->count++;
}

bool pt_outq_first(struct pt_outq *queue, struct pt_message *message) {
  if (queue->count == 0) return false;
  uint8_t *record = queue->bytes + queue->head;
  message->topic = (char *)record + RECORD_HEADER;
  message->payload = message->topic + get_u16(record + 2);
  message->payload_length = get_u16(record + 4);
  message->flags = (unsigned)get_u16(record + 6);
  message->queued_at = (uint32_t)get_u16(record + 8) | ((uint32_t)get_u16(record + 10) << 16);
  return true;
}

void pt_outq_drop(struct pt_outq *queue) {
  if (queue->count == 0) return;
  queue->head += get_u16(queue->bytes + queue->head);
  queue->count--;
  if (queue->count == 0) {
    pt_outq_init(queue);
  } else if (queue->head == queue->wrap) {
    queue->head = 0;
    queue->wrap = PT_OUTQ_SIZE;
  }
}
