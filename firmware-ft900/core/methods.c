#include "core/methods.h"

#include <string.h>

#include "core/base64.h"

/** The times that a clock chip with two digits for the year can hold: 2000-01-01 to 2099-12-31. */
#define CHIP_FIRST 946684800u
#define CHIP_LAST 4102444799u

#define BAD_REQUEST "BAD_REQUEST"
#define FAILED "FAILED"

struct call {
  struct pt_device *device;
  const struct pt_json_object *request;
  struct pt_text *reply;
  struct pt_fault *fault;
};

static enum pt_outcome refuse(struct call *call, const char *code, const char *message) {
  call->fault->code = code;
  call->fault->message = message;
  return PT_FAULT;
}

static void put_number(struct call *call, const char *name, uint32_t value) {
  if (call->reply->length > 0) pt_text_char(call->reply, ',');
  pt_text_json_string(call->reply, name);
  pt_text_char(call->reply, ':');
  pt_text_u32(call->reply, value);
}

static void put_string(struct call *call, const char *name, const char *value) {
  if (call->reply->length > 0) pt_text_char(call->reply, ',');
  pt_text_json_string(call->reply, name);
  pt_text_char(call->reply, ':');
  pt_text_json_string(call->reply, value);
}

/** A field as it came: it was JSON then, it is JSON now. */
static void put_echo(struct call *call, const char *name, const struct pt_json_field *field) {
  if (call->reply->length > 0) pt_text_char(call->reply, ',');
  pt_text_json_string(call->reply, name);
  pt_text_char(call->reply, ':');
  pt_text_bytes(call->reply, field->value.data, field->value.length);
}

static bool take_u32(struct call *call, const char *name, uint32_t max, uint32_t *value) {
  const struct pt_json_field *field = pt_json_find(call->request, name);
  return field != NULL && pt_json_u32(field, value) && *value <= max;
}

static enum pt_outcome get_status(struct call *call) {
  put_string(call, "status", "running");
  return PT_DONE;
}

static enum pt_outcome set_status(struct call *call) {
  char status[16];
  const struct pt_json_field *field = pt_json_find(call->request, "status");
  if (field == NULL || !pt_json_string(field, status, sizeof status) || strcmp(status, "restart") != 0)
    return refuse(call, BAD_REQUEST, "status: must be \"restart\", the only status that can be set");
  put_string(call, "status", "restarting");
  return PT_DONE_RESTART;
}

static const char PIN_WANTED[] = "number: must be a whole number, 0 to 66";

static enum pt_outcome get_gpio(struct call *call) {
  uint32_t pin;
  if (!take_u32(call, "number", POSTERN_PIN_MAX, &pin)) return refuse(call, BAD_REQUEST, PIN_WANTED);
  int value = call->device->hal->gpio_read(call->device->hal->ctx, pin);
  if (value < 0) return refuse(call, FAILED, "number: this board has no such pin");
  put_number(call, "number", pin);
  put_number(call, "value", (uint32_t)value);
  return PT_DONE;
}

static enum pt_outcome set_gpio(struct call *call) {
  const struct postern_hal *hal = call->device->hal;
  uint32_t pin;
  uint32_t value;
  if (!take_u32(call, "number", POSTERN_PIN_MAX, &pin)) return refuse(call, BAD_REQUEST, PIN_WANTED);
  if (!take_u32(call, "value", 1, &value)) return refuse(call, BAD_REQUEST, "value: must be 0 or 1");
  /* The value first, so that the pin never shows the old one when it becomes an output. */
  if (!hal->gpio_write(hal->ctx, pin, value != 0) || !hal->gpio_direction(hal->ctx, pin, POSTERN_OUTPUT))
    return refuse(call, FAILED, "number: this board has no such pin");
  put_number(call, "number", pin);
  put_number(call, "value", value);
  return PT_DONE;
}

bool pt_methods_now(const struct pt_device *device, uint32_t *epoch) {
  uint32_t chip;
  if (!device->hal->rtc_read(device->hal->ctx, &chip)) return false;
  *epoch = chip + device->state->clock_base;
  return true;
}

static enum pt_outcome get_rtc(struct call *call) {
  uint32_t now;
  if (!pt_methods_now(call->device, &now)) return refuse(call, FAILED, "the clock does not run");
  put_number(call, "value", now);
  return PT_DONE;
}

static enum pt_outcome set_rtc(struct call *call) {
  struct pt_device *device = call->device;
  uint32_t value;
  uint32_t chip;
  if (!take_u32(call, "value", UINT32_MAX, &value))
    return refuse(call, BAD_REQUEST, "value: must be a whole number of seconds, 0 to 4294967295");
  /* What the chip cannot hold is kept as a distance to what it can. */
  chip = value >= CHIP_FIRST && value <= CHIP_LAST ? value : CHIP_FIRST;
  if (!device->hal->rtc_write(device->hal->ctx, chip)) return refuse(call, FAILED, "the clock cannot be set");
  device->state->clock_base = value - chip;
  device->state->clock_set = true;
  if (!pt_state_save(device->hal, device->state)) return refuse(call, FAILED, "the clock was set, but its base could not be kept");
  put_number(call, "value", value);
  return PT_DONE;
}

static void put_mac(struct call *call, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  char buffer[18];
  struct pt_text text;
  pt_text_init(&text, buffer, sizeof buffer);
  for (size_t i = 0; i < POSTERN_MAC_LENGTH; i++) {
    if (i > 0) pt_text_char(&text, ':');
    pt_text_hex_byte(&text, mac[i]);
  }
  put_string(call, "value", buffer);
}

static void put_ip(struct call *call, const uint8_t ip[4]) {
  char buffer[16];
  struct pt_text text;
  pt_text_init(&text, buffer, sizeof buffer);
  for (size_t i = 0; i < 4; i++) {
    if (i > 0) pt_text_char(&text, '.');
    pt_text_u32(&text, ip[i]);
  }
  put_string(call, "value", buffer);
}

static enum pt_outcome get_mac(struct call *call) {
  struct pt_addresses addresses;
  call->device->addresses(call->device->network, &addresses);
  put_mac(call, addresses.mac);
  return PT_DONE;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool parse_mac(const char *text, uint8_t mac[POSTERN_MAC_LENGTH]) {
  if (strlen(text) != 17u || (text[2] != ':' && text[2] != '-')) return false;
  for (size_t i = 0; i < POSTERN_MAC_LENGTH; i++) {
    int high = hex_digit(text[3u * i]);
    int low = hex_digit(text[3u * i + 1u]);
    if (high < 0 || low < 0) return false;
    if (i + 1u < POSTERN_MAC_LENGTH && text[3u * i + 2u] != text[2]) return false;
    mac[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
  }
  return true;
}

static enum pt_outcome set_mac(struct call *call) {
  static const uint8_t none[POSTERN_MAC_LENGTH] = {0};
  struct pt_device *device = call->device;
  char text[20];
  uint8_t mac[POSTERN_MAC_LENGTH];
  const struct pt_json_field *field = pt_json_find(call->request, "value");
  if (field == NULL || !pt_json_string(field, text, sizeof text) || !parse_mac(text, mac))
    return refuse(call, BAD_REQUEST, "value: must be six pairs of hex digits with : or - between");
  if ((mac[0] & 1u) != 0 || memcmp(mac, none, sizeof none) == 0)
    return refuse(call, BAD_REQUEST, "value: must be the address of one station, not of a group or of none");
  memcpy(device->state->mac, mac, sizeof mac);
  device->state->has_mac = true;
  if (!pt_state_save(device->hal, device->state)) return refuse(call, FAILED, "the address could not be kept");
  device->set_mac(device->network, mac);
  put_mac(call, mac);
  return PT_DONE;
}

static enum pt_outcome get_ip(struct call *call) {
  struct pt_addresses addresses;
  call->device->addresses(call->device->network, &addresses);
  put_ip(call, addresses.ip);
  return PT_DONE;
}

static enum pt_outcome get_subnet(struct call *call) {
  struct pt_addresses addresses;
  call->device->addresses(call->device->network, &addresses);
  put_ip(call, addresses.netmask);
  return PT_DONE;
}

static enum pt_outcome get_gateway(struct call *call) {
  struct pt_addresses addresses;
  call->device->addresses(call->device->network, &addresses);
  put_ip(call, addresses.gateway);
  return PT_DONE;
}

/** Sends a checked text or base64 string to the UART, some bytes at a time: there is no room for all of it twice. */
static bool send_text(const struct postern_hal *hal, struct pt_json_slice slice) {
  struct pt_json_reader reader;
  uint8_t chunk[64];
  size_t used = 0;
  int length;
  pt_json_reader_init(&reader, slice);
  while ((length = pt_json_reader_next(&reader, chunk + used)) > 0) {
    used += (size_t)length;
    if (used > sizeof chunk - 4u) {
      if (!hal->uart_write(hal->ctx, chunk, used)) return false;
      used = 0;
    }
  }
  return used == 0 || hal->uart_write(hal->ctx, chunk, used);
}

static enum pt_outcome write_uart_text(struct call *call, const struct pt_json_field *data) {
  struct pt_json_reader reader;
  uint8_t utf8[4];
  size_t total = 0;
  int length;
  pt_json_reader_init(&reader, data->value);
  while ((length = pt_json_reader_next(&reader, utf8)) > 0) total += (size_t)length;
  if (length < 0) return refuse(call, BAD_REQUEST, "data: must be well-formed Unicode");
  if (total > PT_UART_MAX) return refuse(call, BAD_REQUEST, "data: must be at most 1024 bytes of UTF-8");
  if (!send_text(call->device->hal, data->value)) return refuse(call, FAILED, "the UART did not take the data");
  put_echo(call, "data", data);
  return PT_DONE;
}

static enum pt_outcome write_uart_base64(struct call *call, const struct pt_json_field *data,
                                         const struct pt_json_field *encoding) {
  static const char wanted[] = "data: must be base64 with padding (RFC 4648 4), at most 1024 bytes once decoded";
  const struct postern_hal *hal = call->device->hal;
  char name[8];
  size_t decoded;
  uint8_t bytes[3];
  if (!pt_json_string(encoding, name, sizeof name) || strcmp(name, "base64") != 0)
    return refuse(call, BAD_REQUEST, "encoding: must be \"base64\"");
  const char *text = data->value.data + 1;
  size_t length = data->value.length - 2u;
  /* No character of base64 needs an escape but '/', and nobody has to write \/: an escape is refused as no base64. */
  if (!pt_base64_length(text, length, &decoded) || decoded > PT_UART_MAX) return refuse(call, BAD_REQUEST, wanted);
  for (size_t i = 0; i < length; i += 4u) {
    size_t count = pt_base64_group(text + i, bytes);
    if (!hal->uart_write(hal->ctx, bytes, count)) return refuse(call, FAILED, "the UART did not take the data");
  }
  put_echo(call, "data", data);
  put_echo(call, "encoding", encoding);
  return PT_DONE;
}

static enum pt_outcome write_uart(struct call *call) {
  const struct pt_json_field *data = pt_json_find(call->request, "data");
  const struct pt_json_field *encoding = pt_json_find(call->request, "encoding");
  if (data == NULL || data->type != PT_JSON_STRING) return refuse(call, BAD_REQUEST, "data: must be a string");
  return encoding == NULL ? write_uart_text(call, data) : write_uart_base64(call, data, encoding);
}

typedef enum pt_outcome (*handler)(struct call *call);

static const struct {
  const char *name;
  handler run;
} METHODS[] = {
    {"get_status", get_status}, {"set_status", set_status}, {"get_gpio", get_gpio},     {"set_gpio", set_gpio},
    {"get_rtc", get_rtc},       {"set_rtc", set_rtc},       {"get_mac", get_mac},       {"set_mac", set_mac},
    {"get_ip", get_ip},         {"get_subnet", get_subnet}, {"get_gateway", get_gateway}, {"write_uart", write_uart},
};

#define METHOD_COUNT (sizeof METHODS / sizeof METHODS[0])

const char *pt_methods_name(size_t index) { return index < METHOD_COUNT ? METHODS[index].name : NULL; }

enum pt_outcome pt_methods_call(struct pt_device *device, const char *method, const struct pt_json_object *request,
                                struct pt_text *reply, struct pt_fault *fault) {
  struct call call = {device, request, reply, fault};
  for (size_t i = 0; i < METHOD_COUNT; i++)
    if (strcmp(METHODS[i].name, method) == 0) return METHODS[i].run(&call);
  return refuse(&call, "METHOD_UNKNOWN", "this device does not know the method");
}
