/* The session's states with a transport that does as it is told. */
#include <string.h>

#include "board.h"
#include "check.h"
#include "core/session.h"

#define ID "dabcdefghijklmnopqrst"

static struct board board;
static struct pt_outq queue;
static struct pt_protocol protocol;
static struct pt_session session;
static uint32_t now;

static struct {
  bool ready;
  bool connect_starts;
  bool subscribe_starts;
  enum pt_publish_result publish_result;
  unsigned connects;
  unsigned disconnects;
  unsigned subscribes;
  unsigned published;
  unsigned restarts;
  char filter[64];
  char topic[160];
  unsigned flags;
} wire;

static bool ready(void *ctx) { (void)ctx; return wire.ready; }
static bool do_connect(void *ctx) { (void)ctx; wire.connects++; return wire.connect_starts; }
static void do_disconnect(void *ctx) { (void)ctx; wire.disconnects++; }
static bool do_subscribe(void *ctx, const char *filter) {
  (void)ctx;
  wire.subscribes++;
  strcpy(wire.filter, filter);
  return wire.subscribe_starts;
}
static enum pt_publish_result do_publish(void *ctx, const struct pt_message *message) {
  (void)ctx;
  if (wire.publish_result != PT_PUBLISH_SENT) return wire.publish_result;
  wire.published++;
  strcpy(wire.topic, message->topic);
  wire.flags = message->flags;
  return PT_PUBLISH_SENT;
}
static uint32_t do_random(void *ctx) { (void)ctx; return 12345; }
static void do_restart(void *ctx) { (void)ctx; wire.restarts++; }
static void do_log(void *ctx, const char *line) { (void)ctx; (void)line; }

static const struct pt_transport transport = {NULL,       ready,     do_connect, do_disconnect, do_subscribe,
                                              do_publish, do_random, do_restart, do_log};

static void start(void) {
  memset(&wire, 0, sizeof wire);
  wire.ready = true;
  wire.connect_starts = true;
  wire.subscribe_starts = true;
  board_init(&board);
  pt_outq_init(&queue);
  pt_protocol_init(&protocol, &board.device, &queue, ID);
  pt_session_init(&session, &transport, &protocol, "FT900", "1");
  now = 0xffffff00u; /* the milliseconds wrap in the middle of it all */
}

static void pass(uint32_t ms) {
  for (uint32_t step = 0; step < ms; step += 10u) {
    now += 10u;
    pt_session_poll(&session, now);
  }
}

static void pass_until(enum pt_session_state state) {
  for (unsigned step = 0; step < 20000u && session.state != state; step++) pass(10);
  CHECK(session.state == state);
}

static void go_online(void) {
  start();
  pass(1500);
  CHECK(wire.connects == 1 && session.state == PT_CONNECTING);
  pt_session_connected(&session, now);
  CHECK(strcmp(wire.filter, ID "/#") == 0 && session.state == PT_SUBSCRIBING);
  pt_session_subscribed(&session, true, now);
  pass(10);
  CHECK(session.state == PT_ONLINE && wire.published == 1 && strcmp(wire.topic, "server/" ID "/hello") == 0);
  CHECK(wire.flags == PT_MESSAGE_ACKNOWLEDGED);
  pt_session_published(&session, true, now);
}

static void request(const char *method, const char *payload) {
  char topic[64] = ID "/";
  strcat(topic, method);
  pt_protocol_begin(&protocol, topic);
  pt_protocol_data(&protocol, (const uint8_t *)payload, strlen(payload));
  pt_protocol_end(&protocol, now);
}

static void test_waits_for_network(void) {
  start();
  wire.ready = false;
  pass(60000);
  CHECK(wire.connects == 0 && session.state == PT_WAIT_NETWORK);
  wire.ready = true;
  pass(1500);
  CHECK(wire.connects == 1);
}

static void test_backs_off(void) {
  unsigned before;
  start();
  wire.connect_starts = false;
  pass(600000);
  CHECK(wire.connects >= 12 && wire.connects <= 26); /* 1, 2, 4 ... 60 s, and then once a minute or so */
  wire.connect_starts = true;
  pass_until(PT_CONNECTING);
  before = wire.disconnects;
  pass(PT_CONNECT_TIMEOUT_MS + 20u); /* nobody answers */
  CHECK(session.state == PT_BACKOFF && wire.disconnects == before + 1);
  /* A session that lasts begins the backoff anew. */
  pass_until(PT_CONNECTING);
  pt_session_connected(&session, now);
  pt_session_subscribed(&session, true, now);
  pass(10);
  pt_session_published(&session, true, now);
  pass(PT_STABLE_MS + 100u);
  CHECK(session.state == PT_ONLINE);
  pt_session_closed(&session, "test", now);
  CHECK(session.wait_ms <= PT_BACKOFF_FIRST_MS);
}

static void test_half_open(void) {
  unsigned before;
  go_online();
  request("get_status", "{}");
  pass(10);
  CHECK(wire.published == 2);
  before = wire.disconnects;
  pass(PT_ACK_TIMEOUT_MS + 100u);
  CHECK(wire.disconnects == before + 1 && session.state == PT_BACKOFF);
}

static void test_subscription(void) {
  start();
  pass(1500);
  pt_session_connected(&session, now);
  pt_session_subscribed(&session, false, now);
  CHECK(session.state == PT_BACKOFF && wire.disconnects == 1);
  pass_until(PT_CONNECTING);
  pt_session_connected(&session, now);
  pass(PT_ACK_TIMEOUT_MS + 20u);
  CHECK(session.state == PT_BACKOFF && wire.disconnects == 2);
  wire.subscribe_starts = false;
  pass_until(PT_CONNECTING);
  pt_session_connected(&session, now);
  CHECK(session.state == PT_BACKOFF && wire.disconnects == 3);
}

static void test_network_goes(void) {
  go_online();
  wire.ready = false;
  pass(10);
  CHECK(session.state == PT_WAIT_NETWORK && wire.disconnects == 1);
  wire.ready = true;
  pass(3000);
  CHECK(wire.connects == 2);
  pt_session_connected(&session, now);
  pt_session_subscribed(&session, true, now);
  wire.published = 0;
  pass(10);
  CHECK(wire.published == 1 && strstr(wire.topic, "/hello") != NULL); /* a hello after each connect */
}

static void test_answers_wait(void) {
  go_online();
  wire.publish_result = PT_PUBLISH_BUSY;
  for (int i = 0; i < 20; i++) request("get_status", "{}");
  pass(100);
  CHECK(wire.published == 1 && queue.count == 20);
  wire.publish_result = PT_PUBLISH_SENT;
  pass(10);
  CHECK(wire.published == 1 + PT_UNACKED_MAX); /* not more at once than lwIP has places for */
  for (unsigned i = 0; i < PT_UNACKED_MAX; i++) pt_session_published(&session, true, now);
  pass(10);
  CHECK(wire.published == 21 && queue.count == 0);
}

static void test_stale_answers_are_dropped(void) {
  go_online();
  wire.publish_result = PT_PUBLISH_BUSY;
  request("get_status", "{}");
  pass(PT_STALE_MS - 1000u);
  CHECK(queue.count == 1);
  pass(2000);
  CHECK(queue.count == 0);
  /* Queued a moment after the loop took its time: young, not four billion ms old. */
  wire.publish_result = PT_PUBLISH_SENT;
  wire.published = 0;
  now += 3u;
  request("get_status", "{}");
  now -= 3u;
  pt_session_poll(&session, now);
  CHECK(wire.published == 1);
}

static void test_restart(void) {
  go_online();
  request("set_status", "{\"status\":\"restart\"}");
  pass(50);
  CHECK(wire.published == 2 && wire.restarts == 0 && (wire.flags & PT_MESSAGE_ACKNOWLEDGED) != 0);
  pt_session_published(&session, true, now);
  pass(10);
  CHECK(wire.restarts == 1);
  /* Nobody acknowledges: it was promised all the same. */
  go_online();
  request("set_status", "{\"status\":\"restart\"}");
  pass(PT_RESTART_LATEST_MS - 100u);
  CHECK(wire.restarts == 0);
  pass(200);
  CHECK(wire.restarts == 1);
  pass(20000);
  CHECK(wire.restarts == 1);
}

void test_session(void) {
  test_waits_for_network();
  test_backs_off();
  test_half_open();
  test_subscription();
  test_network_goes();
  test_answers_wait();
  test_stale_answers_are_dropped();
  test_restart();
}
