#include "board.h"

#include <string.h>

static bool gpio_direction(void *ctx, unsigned pin, enum postern_direction direction) {
  struct board *board = ctx;
  if (pin > POSTERN_PIN_MAX) return false;
  board->output[pin] = direction == POSTERN_OUTPUT;
  return true;
}

static bool gpio_write(void *ctx, unsigned pin, bool value) {
  struct board *board = ctx;
  if (pin > POSTERN_PIN_MAX) return false;
  board->level[pin] = value;
  return true;
}

static int gpio_read(void *ctx, unsigned pin) {
  struct board *board = ctx;
  return pin > POSTERN_PIN_MAX ? -1 : board->level[pin];
}

static bool uart_write(void *ctx, const uint8_t *data, size_t length) {
  struct board *board = ctx;
  if (board->uart_fails || length > sizeof board->uart - board->uart_length) return false;
  memcpy(board->uart + board->uart_length, data, length);
  board->uart_length += length;
  return true;
}

static bool rtc_read(void *ctx, uint32_t *epoch) {
  struct board *board = ctx;
  *epoch = board->rtc;
  return board->rtc_runs;
}

static bool rtc_write(void *ctx, uint32_t epoch) {
  struct board *board = ctx;
  board->rtc = epoch;
  return board->rtc_runs;
}

static bool state_read(void *ctx, uint8_t state[POSTERN_STATE_SIZE]) {
  struct board *board = ctx;
  memcpy(state, board->kept, POSTERN_STATE_SIZE);
  return board->has_kept;
}

static bool state_write(void *ctx, const uint8_t state[POSTERN_STATE_SIZE]) {
  struct board *board = ctx;
  if (board->keeping_fails) return false;
  memcpy(board->kept, state, POSTERN_STATE_SIZE);
  board->has_kept = true;
  return true;
}

static void addresses(void *network, struct pt_addresses *out) {
  struct board *board = network;
  *out = board->addresses;
}

static void set_mac(void *network, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  struct board *board = network;
  memcpy(board->addresses.mac, mac, POSTERN_MAC_LENGTH);
}

void board_init(struct board *board) {
  static const struct pt_addresses start = {
      {0x02, 0, 0, 0x12, 0x34, 0x56}, {192, 0, 2, 10}, {255, 255, 255, 0}, {192, 0, 2, 1}};
  memset(board, 0, sizeof *board);
  board->hal.ctx = board;
  board->hal.gpio_direction = gpio_direction;
  board->hal.gpio_write = gpio_write;
  board->hal.gpio_read = gpio_read;
  board->hal.uart_write = uart_write;
  board->hal.rtc_read = rtc_read;
  board->hal.rtc_write = rtc_write;
  board->hal.state_read = state_read;
  board->hal.state_write = state_write;
  board->addresses = start;
  board->rtc_runs = true;
  board->rtc = 1561700000u;
  board->device.hal = &board->hal;
  board->device.state = &board->state;
  board->device.network = board;
  board->device.addresses = addresses;
  board->device.set_mac = set_mac;
}
