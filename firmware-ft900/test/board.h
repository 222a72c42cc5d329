/** A board in memory for the tests: pins, a clock, flash, all to be looked at and made to fail. */
#ifndef POSTERN_TEST_BOARD_H
#define POSTERN_TEST_BOARD_H

#include "core/methods.h"
#include "core/outq.h"
#include "core/protocol.h"

struct board {
  struct postern_hal hal;
  struct pt_state state;
  struct pt_device device;
  struct pt_addresses addresses;
  bool output[POSTERN_PIN_MAX + 1u];
  bool level[POSTERN_PIN_MAX + 1u];
  uint32_t rtc;
  bool rtc_runs;
  uint8_t uart[2048];
  size_t uart_length;
  bool uart_fails;
  uint8_t kept[POSTERN_STATE_SIZE];
  bool has_kept;
  bool keeping_fails;
};

void board_init(struct board *board);

#endif
