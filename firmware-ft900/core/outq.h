/** Messages that wait to be published, in the order they came, in a fixed ring of bytes. */
#ifndef POSTERN_OUTQ_H
#define POSTERN_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text.h"

/** Bytes of the ring. Room for 20 and more usual replies, or two of the largest. */
#define PT_OUTQ_SIZE 4096u

struct pt_outq {
  uint8_t bytes[PT_OUTQ_SIZE]; /**< records, each in one piece; what does not fit at the end goes to the front */
  size_t head;                 /**< first record */
  size_t tail;                 /**< behind the last one */
  size_t wrap;                 /**< where the records at the end stop, when tail is below head */
  size_t opened;               /**< where the record is that was opened last and is not yet committed */
  size_t count;
};

/** The device restarts once this was acknowledged. */
#define PT_MESSAGE_RESTART 1u
/** The broker is to acknowledge it (QoS 1). */
#define PT_MESSAGE_ACKNOWLEDGED 2u

struct pt_message {
  char *topic; /**< with NUL */
  char *payload;
  size_t payload_length;
  uint32_t queued_at; /**< ms */
  unsigned flags;     /**< PT_MESSAGE_... */
};

void pt_outq_init(struct pt_outq *queue);
/**
 * Opens room for a message and lets `payload` write into it; false if there is none. What is not committed
 * never was: the next open takes the room again.
 */
bool pt_outq_open(struct pt_outq *queue, const char *topic, size_t payload_max, struct pt_text *payload);
/** Puts what was opened last into the queue. */
void pt_outq_commit(struct pt_outq *queue, const struct pt_text *payload, uint32_t now_ms, unsigned flags);
/** The first message; false if there is none. It stays until pt_outq_drop. */
bool pt_outq_first(struct pt_outq *queue, struct pt_message *message);
void pt_outq_drop(struct pt_outq *queue);
/** Whether a message of this size could be opened now. */
bool pt_outq_has_room(const struct pt_outq *queue, size_t topic_length, size_t payload_max);

#endif
