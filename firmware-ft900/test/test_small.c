/* text, base64, crc32, calendar, backoff, state: small parts, small tests. */
#include <string.h>

#include "board.h"
#include "check.h"
#include "core/backoff.h"
#include "core/base64.h"
#include "core/calendar.h"
#include "core/crc32.h"
#include "core/text.h"

void test_text(void) {
  char buffer[8];
  struct pt_text text;
  pt_text_init(&text, buffer, sizeof buffer);
  pt_text_string(&text, "1234567");
  CHECK(!text.overflow && strcmp(buffer, "1234567") == 0);
  pt_text_char(&text, '8');
  CHECK(text.overflow && strcmp(buffer, "1234567") == 0);
  pt_text_init(&text, buffer, sizeof buffer);
  pt_text_string(&text, "12345678");
  CHECK(text.overflow && text.length == 0);
  pt_text_char(&text, 'x'); /* an overflow stays */
  CHECK(text.length == 0);
  char large[64];
  pt_text_init(&text, large, sizeof large);
  pt_text_u32(&text, 0);
  pt_text_char(&text, ' ');
  pt_text_u32(&text, 4294967295u);
  pt_text_hex_byte(&text, 0xa0);
  CHECK(strcmp(large, "0 4294967295a0") == 0);
  pt_text_init(&text, large, sizeof large);
  pt_text_json_string(&text, "a\"b\\c\n\x7f");
  CHECK(strcmp(large, "\"a\\\"b\\\\c\\u000a\x7f\"") == 0);
}

void test_base64(void) {
  size_t length;
  uint8_t bytes[3];
  CHECK(pt_base64_length("", 0, &length) && length == 0);
  CHECK(pt_base64_length("AP/+gA==", 8, &length) && length == 4);
  CHECK(pt_base64_length("AAA=", 4, &length) && length == 2);
  CHECK(!pt_base64_length("AP/+gA", 6, &length));
  CHECK(!pt_base64_length("*", 1, &length));
  CHECK(!pt_base64_length("A===", 4, &length));
  CHECK(!pt_base64_length("AA=A", 4, &length));
  CHECK(!pt_base64_length("====", 4, &length));
  CHECK(pt_base64_group("AP/+", bytes) == 3 && bytes[0] == 0 && bytes[1] == 0xff && bytes[2] == 0xfe);
  CHECK(pt_base64_group("gA==", bytes) == 1 && bytes[0] == 0x80);
  CHECK(pt_base64_group("AAE=", bytes) == 2 && bytes[1] == 1);
}

void test_crc32(void) {
  const uint8_t *digits = (const uint8_t *)"123456789";
  CHECK(pt_crc32(0, digits, 9) == 0xcbf43926u);
  CHECK(pt_crc32(pt_crc32(0, digits, 4), digits + 4, 5) == 0xcbf43926u);
  CHECK(pt_crc32(0, digits, 0) == 0);
}

void test_calendar(void) {
  struct pt_datetime at;
  pt_calendar_from_epoch(0, &at);
  CHECK(at.year == 1970 && at.month == 1 && at.day == 1 && at.weekday == 4 && at.hour == 0);
  pt_calendar_from_epoch(951782400u, &at); /* 2000-02-29 */
  CHECK(at.year == 2000 && at.month == 2 && at.day == 29 && at.weekday == 2);
  pt_calendar_from_epoch(4107542400u, &at); /* 2100-03-01: 2100 is no leap year */
  CHECK(at.year == 2100 && at.month == 3 && at.day == 1);
  pt_calendar_from_epoch(UINT32_MAX, &at);
  CHECK(at.year == 2106 && at.month == 2 && at.day == 7 && at.hour == 6 && at.minute == 28 && at.second == 15);
  for (uint32_t epoch = 0; epoch < UINT32_MAX - 10000019u; epoch += 10000019u) {
    pt_calendar_from_epoch(epoch, &at);
    CHECK(pt_calendar_to_epoch(&at) == epoch);
  }
  for (uint8_t i = 0; i < 100u; i++) CHECK(pt_calendar_from_bcd(pt_calendar_to_bcd(i)) == i);
  CHECK(pt_calendar_to_bcd(59) == 0x59);
}

void test_backoff(void) {
  struct pt_backoff backoff;
  uint32_t ceiling = PT_BACKOFF_FIRST_MS;
  pt_backoff_reset(&backoff);
  for (uint32_t i = 0; i < 20u; i++) {
    uint32_t wait = pt_backoff_next(&backoff, i * 2654435761u);
    CHECK(wait >= ceiling / 2u && wait <= ceiling);
    ceiling = ceiling * 2u > PT_BACKOFF_LONGEST_MS ? PT_BACKOFF_LONGEST_MS : ceiling * 2u;
  }
  CHECK(ceiling == PT_BACKOFF_LONGEST_MS);
  pt_backoff_reset(&backoff);
  CHECK(pt_backoff_next(&backoff, 0) == PT_BACKOFF_FIRST_MS / 2u);
}

void test_state(void) {
  static struct board board;
  struct pt_state state;
  board_init(&board);
  CHECK(!pt_state_load(&board.hal, &state) && !state.has_seed && !state.has_mac && !state.clock_set);
  state.boots = 7;
  state.has_seed = true;
  state.clock_set = true;
  state.clock_base = 0x80000001u;
  state.has_mac = true;
  memset(state.mac, 0x42, sizeof state.mac);
  memset(state.seed, 0x17, sizeof state.seed);
  CHECK(pt_state_save(&board.hal, &state));
  struct pt_state again;
  CHECK(pt_state_load(&board.hal, &again));
  CHECK(again.boots == 7 && again.has_seed && again.clock_set && again.has_mac && again.clock_base == 0x80000001u);
  CHECK(memcmp(again.seed, state.seed, sizeof state.seed) == 0 && memcmp(again.mac, state.mac, 6) == 0);
  for (size_t i = 0; i < POSTERN_STATE_SIZE; i++) { /* no damaged byte passes */
    board.kept[i] ^= 0x10u;
    CHECK(!pt_state_load(&board.hal, &again) && !again.has_seed);
    board.kept[i] ^= 0x10u;
  }
  board.keeping_fails = true;
  CHECK(!pt_state_save(&board.hal, &state));
}
