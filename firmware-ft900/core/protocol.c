#include "core/protocol.h"

#include <string.h>

#define SERVER_LEVEL "server/"
#define MAX_METHOD_LENGTH 64u
/** What stands behind a reply's fields: ,"correlationId":"<64>"} */
#define CLOSING_MAX (21u + PT_CORRELATION_MAX)
/** A fault's fields; its strings are our own. */
#define FAULT_MAX 192u
#define PREFIX_KEPT (PT_REQUEST_MAX - PT_TAIL_KEPT)

static const char RESPONSE_TOPIC[] = "responseTopic";
static const char CORRELATION_ID[] = "correlationId";

/** Where and under what id the answer to one request goes. */
struct answer {
  char topic[PT_TOPIC_MAX + 1u];
  char correlation[PT_CORRELATION_MAX + 1u]; /**< empty: none */
};

void pt_protocol_init(struct pt_protocol *protocol, struct pt_device *device, struct pt_outq *queue,
                      const char *device_id) {
  memset(protocol, 0, sizeof *protocol);
  protocol->device = device;
  protocol->queue = queue;
  protocol->device_id = device_id;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_id(const char *id) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *id != '\0'; id++) hash = (hash ^ (uint8_t)*id) * 0x100000001b3u;
  return hash == 0 ? 1 : hash; /* 0 marks an empty place */
}

/** Remembers the id; false if it is known already. */
static bool remember(struct pt_protocol *protocol, const char *id) {
  uint64_t hash = hash_id(id);
  for (size_t i = 0; i < PT_SEEN_MAX; i++)
    if (protocol->seen[i] == hash) return false;
  protocol->seen[protocol->seen_next] = hash;
  protocol->seen_next = (protocol->seen_next + 1u) % PT_SEEN_MAX;
  return true;
}

static bool is_correlation_id(const char *id) {
  if (*id == '\0') return false;
  for (; *id != '\0'; id++) {
    char c = *id;
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!good) return false;
  }
  return true;
}

/** A reply may go below server/<own id>/ and nowhere else, and to no topic filter (MQTT 4.7.1). */
static bool is_own_reply_topic(const struct pt_protocol *protocol, const char *topic) {
  size_t id_length = strlen(protocol->device_id);
  if (strncmp(topic, SERVER_LEVEL, sizeof SERVER_LEVEL - 1u) != 0) return false;
  topic += sizeof SERVER_LEVEL - 1u;
  if (strncmp(topic, protocol->device_id, id_length) != 0 || topic[id_length] != '/') return false;
  topic += id_length + 1u;
  return *topic != '\0' && strpbrk(topic, "+#") == NULL;
}

/** Closes the object that `fields` began behind the opening brace of `payload`, and queues it. */
static void send(struct pt_protocol *protocol, const struct answer *answer, struct pt_text *payload,
                 const struct pt_text *fields, uint32_t now_ms, unsigned flags) {
  payload->length += fields->length;
  if (answer->correlation[0] != '\0') {
    if (fields->length > 0) pt_text_char(payload, ',');
    pt_text_json_string(payload, CORRELATION_ID);
    pt_text_char(payload, ':');
    pt_text_json_string(payload, answer->correlation);
  }
  pt_text_char(payload, '}');
  pt_outq_commit(protocol->queue, payload, now_ms, flags);
}

/** Opens an answer; `fields` is what comes behind its opening brace. Leaves room to close it. */
static bool open_answer(struct pt_protocol *protocol, const struct answer *answer, size_t fields_max,
                        struct pt_text *payload, struct pt_text *fields) {
  if (!pt_outq_open(protocol->queue, answer->topic, fields_max + CLOSING_MAX, payload)) {
    protocol->dropped++;
    return false;
  }
  pt_text_char(payload, '{');
  pt_text_init(fields, payload->data + 1, fields_max);
  return true;
}

static void write_fault(struct pt_text *fields, const struct pt_fault *fault) {
  pt_text_init(fields, fields->data, fields->size);
  pt_text_string(fields, "\"error\":{\"code\":");
  pt_text_json_string(fields, fault->code);
  pt_text_string(fields, ",\"message\":");
  pt_text_json_string(fields, fault->message);
  pt_text_char(fields, '}');
}

static void send_fault(struct pt_protocol *protocol, const struct answer *answer, const struct pt_fault *fault,
                       uint32_t now_ms) {
  struct pt_text payload;
  struct pt_text fields;
  if (!open_answer(protocol, answer, FAULT_MAX, &payload, &fields)) return;
  write_fault(&fields, fault);
  send(protocol, answer, &payload, &fields, now_ms, 0);
}

/** Reads the correlation; false with `fault` set if there is one and it is bad. */
static bool take_correlation(const struct pt_protocol *protocol, const struct pt_json_object *request,
                             struct answer *answer, struct pt_fault *fault) {
  const struct pt_json_field *to = pt_json_find(request, RESPONSE_TOPIC);
  const struct pt_json_field *id = pt_json_find(request, CORRELATION_ID);
  bool good = true;
  fault->code = "BAD_REQUEST";
  if (id != NULL) {
    if (!pt_json_string(id, answer->correlation, sizeof answer->correlation) ||
        !is_correlation_id(answer->correlation)) {
      answer->correlation[0] = '\0';
      fault->message = "correlationId: must be 1 to 64 characters of A-Z a-z 0-9 _ -";
      good = false;
    }
  }
  if (to != NULL) {
    char topic[PT_TOPIC_MAX + 1u];
    if (pt_json_string(to, topic, sizeof topic) && is_own_reply_topic(protocol, topic)) {
      memcpy(answer->topic, topic, sizeof topic);
    } else {
      fault->message = "responseTopic: must be below this device's own, server/<deviceId>/";
      good = false;
    }
  }
  if (good && (id == NULL) != (to == NULL)) {
    fault->message = "responseTopic and correlationId: must be there both or not at all";
    good = false;
  }
  return good;
}

void pt_protocol_begin(struct pt_protocol *protocol, const char *topic) {
  size_t length = strlen(topic);
  protocol->received = 0;
  protocol->topic_fits = length <= PT_TOPIC_MAX;
  if (protocol->topic_fits) memcpy(protocol->topic, topic, length + 1u);
}

void pt_protocol_data(struct pt_protocol *protocol, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++, protocol->received++) {
    size_t at = protocol->received;
    /* What is too long keeps its beginning, and its end in a ring behind that. */
    if (at >= PT_REQUEST_MAX) at = PREFIX_KEPT + (at - PREFIX_KEPT) % PT_TAIL_KEPT;
    protocol->request[at] = (char)data[i];
  }
}

/**
 * The value of a string field in a request of which parts are missing. The name with its quotes cannot stand
 * inside a string: there its quotes would have backslashes before them.
 */
static bool scavenge(const char *data, size_t length, const char *name, char *value, size_t size) {
  size_t name_length = strlen(name);
  for (size_t i = 0; i + name_length + 4u <= length; i++) {
    if (data[i] != '"' || (i > 0 && data[i - 1] == '\\')) continue;
    if (memcmp(data + i + 1, name, name_length) != 0 || data[i + 1u + name_length] != '"') continue;
    size_t at = i + name_length + 2u;
    while (at < length && (data[at] == ' ' || data[at] == ':')) at++;
    if (at >= length || data[at] != '"') continue;
    size_t used = 0;
    for (at++; at < length && data[at] != '"'; at++) {
      if (used + 1u >= size || data[at] == '\\') return false;
      value[used++] = data[at];
    }
    if (at >= length) return false;
    value[used] = '\0';
    return true;
  }
  return false;
}

static void refuse_too_large(struct pt_protocol *protocol, struct answer *answer, uint32_t now_ms) {
  struct pt_fault fault = {"REQUEST_TOO_LARGE", "the request has more than 1920 bytes; send UART data in parts"};
  char topic[PT_TOPIC_MAX + 1u];
  char *tail = protocol->request + PREFIX_KEPT;
  size_t start = (protocol->received - PREFIX_KEPT) % PT_TAIL_KEPT;
  /* Turn the ring so that it starts with its oldest byte: three reversals, in place. */
  for (int part = 0; part < 3; part++) {
    size_t low = part == 1 ? start : 0;
    size_t high = part == 0 ? start : PT_TAIL_KEPT;
    while (low + 1u < high) {
      char swap = tail[low];
      tail[low++] = tail[--high];
      tail[high] = swap;
    }
  }
  for (int part = 0; part < 2; part++) {
    const char *data = part == 0 ? protocol->request : tail;
    size_t length = part == 0 ? PREFIX_KEPT : PT_TAIL_KEPT;
    if (answer->correlation[0] == '\0' &&
        scavenge(data, length, CORRELATION_ID, answer->correlation, sizeof answer->correlation) &&
        !is_correlation_id(answer->correlation))
      answer->correlation[0] = '\0';
    if (scavenge(data, length, RESPONSE_TOPIC, topic, sizeof topic) && is_own_reply_topic(protocol, topic))
      memcpy(answer->topic, topic, sizeof topic);
  }
  send_fault(protocol, answer, &fault, now_ms);
}

static const char *explain_json(enum pt_json_status status) {
  switch (status) {
    case PT_JSON_NOT_OBJECT: return "the request must be a JSON object";
    case PT_JSON_TOO_MANY: return "the request has more than 16 fields";
    case PT_JSON_TOO_DEEP: return "the request nests deeper than 8 levels";
    case PT_JSON_OK:
    case PT_JSON_SYNTAX: break;
  }
  return "the request is not JSON (RFC 8259)";
}

/** server/<id>/<method>, where devices before protocol 2 answered; NULL if the topic is no request's. */
static const char *method_of(const struct pt_protocol *protocol, struct answer *answer) {
  struct pt_text text;
  size_t id_length = strlen(protocol->device_id);
  if (!protocol->topic_fits || strncmp(protocol->topic, protocol->device_id, id_length) != 0 ||
      protocol->topic[id_length] != '/')
    return NULL;
  const char *method = protocol->topic + id_length + 1u;
  size_t length = strlen(method);
  if (length == 0 || length > MAX_METHOD_LENGTH) return NULL;
  pt_text_init(&text, answer->topic, sizeof answer->topic);
  pt_text_string(&text, SERVER_LEVEL);
  pt_text_string(&text, protocol->topic);
  return text.overflow ? NULL : method;
}

void pt_protocol_end(struct pt_protocol *protocol, uint32_t now_ms) {
  static struct pt_json_object request; /* not on the stack: 576 bytes, and this is never entered twice */
  struct pt_text payload;
  struct answer answer;
  struct pt_fault fault;
  struct pt_text fields;
  answer.correlation[0] = '\0';
  const char *method = method_of(protocol, &answer);
  if (method == NULL) return; /* not addressed to a method of this device: there is nobody to answer */
  if (protocol->received > PT_REQUEST_MAX) {
    refuse_too_large(protocol, &answer, now_ms);
    return;
  }
  enum pt_json_status status = pt_json_parse(protocol->request, protocol->received, &request);
  if (status != PT_JSON_OK) {
    fault.code = "BAD_REQUEST";
    fault.message = explain_json(status);
    send_fault(protocol, &answer, &fault, now_ms);
    return;
  }
  if (!take_correlation(protocol, &request, &answer, &fault)) {
    send_fault(protocol, &answer, &fault, now_ms);
    return;
  }
  /* Room first: what could not be answered is not done. */
  if (!open_answer(protocol, &answer, PT_REPLY_MAX, &payload, &fields)) return;
  /* Executed once: what comes again under the same id was answered already. */
  if (answer.correlation[0] != '\0' && !remember(protocol, answer.correlation)) return;
  enum pt_outcome outcome = pt_methods_call(protocol->device, method, &request, &fields, &fault);
  if (outcome != PT_FAULT && fields.overflow) {
    fault.code = "REPLY_TOO_LARGE";
    fault.message = "the reply is larger than the device can hold; the method was done";
    outcome = PT_FAULT;
  }
  if (outcome == PT_FAULT) write_fault(&fields, &fault);
  send(protocol, &answer, &payload, &fields, now_ms,
       outcome == PT_DONE_RESTART ? PT_MESSAGE_RESTART | PT_MESSAGE_ACKNOWLEDGED : 0);
}

bool pt_protocol_hello(struct pt_protocol *protocol, uint32_t now_ms, const char *model, const char *version) {
  char topic[PT_TOPIC_MAX + 1u];
  struct pt_text text;
  struct pt_text payload;
  pt_text_init(&text, topic, sizeof topic);
  pt_text_string(&text, SERVER_LEVEL);
  pt_text_string(&text, protocol->device_id);
  pt_text_string(&text, "/hello");
  if (!pt_outq_open(protocol->queue, topic, 400, &payload)) return false;
  pt_text_string(&payload, "{\"protocol\":2,\"methods\":[");
  for (size_t i = 0; pt_methods_name(i) != NULL; i++) {
    if (i > 0) pt_text_char(&payload, ',');
    pt_text_json_string(&payload, pt_methods_name(i));
  }
  pt_text_string(&payload, "],\"model\":");
  pt_text_json_string(&payload, model);
  pt_text_string(&payload, ",\"version\":");
  pt_text_json_string(&payload, version);
  pt_text_char(&payload, '}');
  if (payload.overflow) return false;
  pt_outq_commit(protocol->queue, &payload, now_ms, PT_MESSAGE_ACKNOWLEDGED);
  return true;
}

bool pt_protocol_has_room(const struct pt_protocol *protocol) {
  return pt_outq_has_room(protocol->queue, PT_TOPIC_MAX, PT_REPLY_MAX + CLOSING_MAX);
}
