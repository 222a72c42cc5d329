/* methods, protocol and the outbound queue together: a request in, what is published out. */
#include <string.h>

#include "board.h"
#include "check.h"

#define ID "dabcdefghijklmnopqrst"

static struct board board;
static struct pt_outq queue;
static struct pt_protocol protocol;

static void start(void) {
  board_init(&board);
  pt_outq_init(&queue);
  pt_protocol_init(&protocol, &board.device, &queue, ID);
}

static void request(const char *topic, const char *payload, size_t length) {
  pt_protocol_begin(&protocol, topic);
  pt_protocol_data(&protocol, (const uint8_t *)payload, length);
  pt_protocol_end(&protocol, 1000);
}

static bool answered(const char *topic, const char *payload) {
  struct pt_message message;
  if (!pt_outq_first(&queue, &message)) return false;
  bool good = strcmp(message.topic, topic) == 0 && message.payload_length == strlen(payload) &&
              memcmp(message.payload, payload, message.payload_length) == 0;
  if (!good) {
    check_print(message.topic);
    check_print(" ");
    check_print(message.payload);
    check_print("\n");
  }
  pt_outq_drop(&queue);
  return good;
}

static bool call(const char *method, const char *payload, const char *answer) {
  char topic[64] = ID "/";
  char reply[64] = "server/" ID "/";
  strcat(topic, method);
  strcat(reply, method);
  request(topic, payload, strlen(payload));
  return answered(reply, answer) && queue.count == 0;
}

void test_methods(void) {
  start();
  CHECK(call("get_status", "{}", "{\"status\":\"running\"}"));
  CHECK(call("set_gpio", "{\"number\":12,\"value\":1}", "{\"number\":12,\"value\":1}"));
  CHECK(board.output[12] && board.level[12]);
  CHECK(call("get_gpio", "{\"number\":12}", "{\"number\":12,\"value\":1}"));
  CHECK(!board.output[13]);
  CHECK(call("get_gpio", "{\"number\":66}", "{\"number\":66,\"value\":0}"));
  CHECK(!board.output[66]); /* reading changes no direction */
  CHECK(call("get_rtc", "{}", "{\"value\":1561700000}"));
  static const uint32_t times[] = {0, 946684799u, 946684800u, 4102444799u, 4102444800u, 4294967295u};
  static const char *const texts[] = {"{\"value\":0}",          "{\"value\":946684799}",  "{\"value\":946684800}",
                                      "{\"value\":4102444799}", "{\"value\":4102444800}", "{\"value\":4294967295}"};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    uint32_t now;
    CHECK(call("set_rtc", texts[i], texts[i]) && call("get_rtc", "{}", texts[i]));
    CHECK(board.rtc >= 946684800u && board.rtc <= 4102444799u); /* what two digits for the year can hold */
    CHECK(pt_methods_now(&board.device, &now) && now == times[i]);
  }
  CHECK(call("set_mac", "{\"value\":\"02-00-00-AB-CD-EF\"}", "{\"value\":\"02:00:00:ab:cd:ef\"}"));
  CHECK(board.addresses.mac[5] == 0xef && board.state.has_mac);
  CHECK(call("get_mac", "{}", "{\"value\":\"02:00:00:ab:cd:ef\"}"));
  CHECK(call("get_ip", "{}", "{\"value\":\"192.0.2.10\"}"));
  CHECK(call("get_subnet", "{}", "{\"value\":\"255.255.255.0\"}"));
  CHECK(call("get_gateway", "{}", "{\"value\":\"192.0.2.1\"}"));
  CHECK(call("write_uart", "{\"data\":\"\\u00e4\\u0000\\\"\"}", "{\"data\":\"\\u00e4\\u0000\\\"\"}"));
  CHECK(board.uart_length == 4 && memcmp(board.uart, "\xc3\xa4\0\"", 4) == 0);
  board.uart_length = 0;
  CHECK(call("write_uart", "{\"data\":\"AP/+gA==\",\"encoding\":\"base64\"}",
             "{\"data\":\"AP/+gA==\",\"encoding\":\"base64\"}"));
  CHECK(board.uart_length == 4 && memcmp(board.uart, "\x00\xff\xfe\x80", 4) == 0);
}

#define BAD(message) "{\"error\":{\"code\":\"BAD_REQUEST\",\"message\":\"" message "\"}}"
#define FAILED(message) "{\"error\":{\"code\":\"FAILED\",\"message\":\"" message "\"}}"

static void test_faults(void) {
  start();
  CHECK(call("set_mac", "{\"value\":\"01:00:00:00:00:01\"}",
             BAD("value: must be the address of one station, not of a group or of none")));
  CHECK(call("set_mac", "{\"value\":\"02:00-00:00:00:01\"}",
             BAD("value: must be six pairs of hex digits with : or - between")));
  CHECK(call("write_uart", "{\"data\":\"\\ud800\"}", BAD("data: must be well-formed Unicode")));
  CHECK(call("get_gpio", "[12]", BAD("the request must be a JSON object")));
  CHECK(call("get_gpio", "", BAD("the request is not JSON (RFC 8259)")));
  CHECK(call("get_gpio", "{\"a\":[[[[[[[[0]]]]]]]]}", BAD("the request nests deeper than 8 levels")));
  CHECK(call("no_such", "{}", "{\"error\":{\"code\":\"METHOD_UNKNOWN\",\"message\":\"this device does not know the method\"}}"));
  board.rtc_runs = false;
  CHECK(call("get_rtc", "{}", FAILED("the clock does not run")));
  CHECK(call("set_rtc", "{\"value\":1}", FAILED("the clock cannot be set")));
  board.uart_fails = true;
  CHECK(call("write_uart", "{\"data\":\"x\"}", FAILED("the UART did not take the data")));
  board.keeping_fails = true;
  CHECK(call("set_mac", "{\"value\":\"02:00:00:00:00:01\"}", FAILED("the address could not be kept")));
  CHECK(board.addresses.mac[5] == 0x56);
  /* Not for a method of this device: nobody to answer. */
  request("dzzzzzzzzzzzzzzzzzzzz/get_gpio", "{}", 2);
  request(ID, "{}", 2);
  request(ID "/", "{}", 2);
  request(ID "x/get_gpio", "{}", 2);
  CHECK(queue.count == 0);
}

static void test_uart_limits(void) {
  static char text[PT_REQUEST_MAX + 200u];
  struct pt_message message;
  start();
  memcpy(text, "{\"data\":\"", 9);
  memset(text + 9, 'x', 1025);
  memcpy(text + 9 + 1024, "\"}", 2);
  request(ID "/write_uart", text, 9 + 1024 + 2);
  CHECK(board.uart_length == 1024 && pt_outq_first(&queue, &message) && message.payload_length == 1035);
  pt_outq_drop(&queue);
  memset(text + 9, 'x', 1025);
  memcpy(text + 9 + 1025, "\"}", 3);
  CHECK(call("write_uart", text, BAD("data: must be at most 1024 bytes of UTF-8")));
  CHECK(board.uart_length == 1024);
}

#define REPLY_TO "\"responseTopic\":\"server/" ID "/reply/i1\",\"correlationId\":"

static void test_correlation(void) {
  start();
  static const char half[] = "{\"number\":1,\"responseTopic\":\"server/" ID "/reply/i1\"}";
  request(ID "/get_gpio", half, sizeof half - 1u);
  CHECK(answered("server/" ID "/reply/i1", BAD("responseTopic and correlationId: must be there both or not at all")));
  request(ID "/get_gpio", "{\"number\":1," REPLY_TO "\"a b\"}", strlen("{\"number\":1," REPLY_TO "\"a b\"}"));
  CHECK(answered("server/" ID "/reply/i1", BAD("correlationId: must be 1 to 64 characters of A-Z a-z 0-9 _ -")));
  static const char *const foreign[] = {"server/dzzzzzzzzzzzzzzzzzzzz/reply/i1", "server/" ID, "server/" ID "/",
                                        "server/" ID "/#", "server/" ID "/+", "server/" ID "x/reply", ID "/get_gpio", ""};
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    char text[160];
    struct pt_text build;
    pt_text_init(&build, text, sizeof text);
    pt_text_string(&build, "{\"number\":1,\"correlationId\":\"c\",\"responseTopic\":");
    pt_text_json_string(&build, foreign[i]);
    pt_text_char(&build, '}');
    request(ID "/get_gpio", text, build.length);
    CHECK(answered("server/" ID "/get_gpio",
                   "{\"error\":{\"code\":\"BAD_REQUEST\",\"message\":\"responseTopic: must be below this device's own, "
                   "server/<deviceId>/\"},\"correlationId\":\"c\"}"));
  }
  /* Executed once, however often it comes, and the memory of ids has an end. */
  for (unsigned round = 0; round < 2u * PT_SEEN_MAX; round++) {
    char text[160];
    struct pt_text build;
    pt_text_init(&build, text, sizeof text);
    pt_text_string(&build, "{\"data\":\"x\"," REPLY_TO "\"id-");
    pt_text_u32(&build, round);
    pt_text_string(&build, "\"}");
    for (int again = 0; again < 3; again++) request(ID "/write_uart", text, build.length);
    CHECK(queue.count == 1);
    pt_outq_drop(&queue);
  }
  CHECK(board.uart_length == 2u * PT_SEEN_MAX);
}

static void test_too_large(void) {
  static char text[6000];
  static const size_t sizes[] = {PT_REQUEST_MAX + 1u, PT_REQUEST_MAX + 500u, 3000, 5999};
  static const char tail[] = "\"," REPLY_TO "\"c-9\"}";
  const char *expected =
      "{\"error\":{\"code\":\"REQUEST_TOO_LARGE\",\"message\":\"the request has more than 1920 bytes; send UART data in "
      "parts\"},\"correlationId\":\"c-9\"}";
  start();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"data\":\"", 9);
    memcpy(text + sizes[i] - (sizeof tail - 1u), tail, sizeof tail - 1u);
    request(ID "/write_uart", text, sizes[i]);
    CHECK(answered("server/" ID "/reply/i1", expected));
    memset(text, 'x', sizeof text);
    memcpy(text, "{" REPLY_TO "\"c-9\",\"data\":\"", strlen("{" REPLY_TO "\"c-9\",\"data\":\""));
    request(ID "/write_uart", text, sizes[i]);
    CHECK(answered("server/" ID "/reply/i1", expected));
    /* What stands in the data, escaped, is no correlation. */
    memset(text, 'x', sizeof text);
    static const char inside[] = "\\\"correlationId\\\":\\\"evil\\\"";
    memcpy(text, inside, sizeof inside - 1u);
    request(ID "/write_uart", text, sizes[i]);
    CHECK(answered("server/" ID "/write_uart",
                   "{\"error\":{\"code\":\"REQUEST_TOO_LARGE\",\"message\":\"the request has more than 1920 bytes; send "
                   "UART data in parts\"}}"));
  }
  CHECK(board.uart_length == 0);
  /* Exactly as long as may be. */
  memset(text, ' ', PT_REQUEST_MAX);
  memcpy(text, "{}", 2);
  request(ID "/get_status", text, PT_REQUEST_MAX);
  CHECK(answered("server/" ID "/get_status", "{\"status\":\"running\"}"));
}

static void test_full_queue(void) {
  struct pt_message message;
  unsigned count = 0;
  start();
  while (pt_protocol_has_room(&protocol)) {
    request(ID "/set_gpio", "{\"number\":1,\"value\":1}", 22);
    count++;
  }
  CHECK(count >= 20 && protocol.dropped == 0);
  board.level[2] = false;
  while (protocol.dropped == 0) request(ID "/get_mac", "{}", 2);
  request(ID "/set_gpio", "{\"number\":2,\"value\":1}", 22);
  CHECK(!board.level[2]); /* what cannot be answered is not done */
  for (unsigned i = 0; i < count; i++) {
    CHECK(pt_outq_first(&queue, &message) && strcmp(message.payload, "{\"number\":1,\"value\":1}") == 0);
    pt_outq_drop(&queue);
  }
}

static void test_hello(void) {
  struct pt_message message;
  start();
  CHECK(pt_protocol_hello(&protocol, 5, "FT900", "1.2.3"));
  CHECK(pt_outq_first(&queue, &message) && strcmp(message.topic, "server/" ID "/hello") == 0);
  CHECK((message.flags & PT_MESSAGE_ACKNOWLEDGED) != 0 && message.queued_at == 5);
  CHECK(strncmp(message.payload, "{\"protocol\":2,\"methods\":[\"get_status\",", 38) == 0);
  CHECK(strstr(message.payload, "\"write_uart\"],\"model\":\"FT900\",\"version\":\"1.2.3\"}") != NULL);
}

void test_protocol(void) {
  test_faults();
  test_uart_limits();
  test_correlation();
  test_too_large();
  test_full_queue();
  test_hello();
}

/* Random sizes through the ring, held against a plain list of what must come out. */
void test_outq(void) {
  static uint16_t lengths[512];
  uint32_t random = 1;
  unsigned in = 0;
  unsigned out = 0;
  unsigned refused = 0;
  struct pt_text payload;
  struct pt_message message;
  pt_outq_init(&queue);
  CHECK(!pt_outq_first(&queue, &message));
  pt_outq_drop(&queue); /* of an empty queue: nothing */
  for (unsigned step = 0; step < 20000u; step++) {
    random = random * 1664525u + 1013904223u;
    uint16_t length = (uint16_t)((random >> 16) % 700u);
    if ((random >> 8 & 3u) != 0) {
      if (pt_outq_open(&queue, "topic", 700, &payload)) {
        for (uint16_t i = 0; i < length; i++) pt_text_char(&payload, (char)('a' + (in + i) % 26u));
        if ((random & 15u) == 0) continue; /* opened, and thought better of */
        pt_outq_commit(&queue, &payload, step, in & 3u);
        lengths[in++ % 512u] = length;
      } else {
        refused++;
      }
    }
    if ((random >> 12 & 1u) != 0 && pt_outq_first(&queue, &message)) {
      bool same = message.payload_length == lengths[out % 512u] && message.flags == (out & 3u) &&
                  strcmp(message.topic, "topic") == 0;
      for (size_t i = 0; same && i < message.payload_length; i++)
        same = message.payload[i] == (char)('a' + (out + i) % 26u);
      CHECK(same);
      pt_outq_drop(&queue);
      out++;
    }
    CHECK(queue.count == in - out);
  }
  CHECK(refused > 100 && out > 1000);
  CHECK(!pt_outq_open(&queue, "topic", PT_OUTQ_SIZE, &payload));
}
