/* The FT900's board: what the firmware asks for, on its registers, polled. */
#include <stdlib.h>
#include <string.h>

#include "core/calendar.h"
#include "hal/ft900/ethernet.h"
#include "hal/ft900/flash.h"
#include "hal/ft900/memory.h"
#include "hal/ft900/registers.h"
#include "port/port.h"

/** Timer A: 100 MHz / 50,000 = 2 kHz, the slowest that 16 bits of prescaler give in whole ticks for a ms. */
#define TICK_PRESCALE 50000u
#define TICKS_PER_MS 2u
/** 100 MHz / (4 samples * 217) = 115,207 baud. */
#define UART_DIVISOR 217u
#define UART_SAMPLES 4u
/** Pads with another task: UART0 on 48 and 49, UART1 (the log) on 52 and 53. */
#define PAD_UART_FUNCTION 3u
/** The watchdog runs out after 2^30 clocks, 10.7 s; a handshake takes 2.6 s at most. */
#define WATCHDOG_EXPONENT 30u
/** Turns of a waiting loop for a byte to leave at 115,200 baud, many times over. */
#define UART_PATIENCE 1000000u
#define RTC_PATIENCE 10000000u

static uint16_t last_tick;
static uint32_t ticks;

static uint16_t read_timer(unsigned timer) {
  TIMER_SELECT = (uint8_t)TIMER_SELECT_READ(timer);
  /* The two bytes are not latched: read until the upper one stayed. */
  uint8_t high;
  uint8_t low;
  do {
    high = TIMER_READ_MS;
    low = TIMER_READ_LS;
  } while (high != TIMER_READ_MS);
  return (uint16_t)(high << 8 | low);
}

static void start_timer(unsigned timer, bool prescale) {
  TIMER_SELECT = (uint8_t)TIMER_SELECT_WRITE(timer);
  if (prescale) {
    TIMER_CONTROL_4 = (uint8_t)TIMER_CONTROL_4_PRESCALE_CLEAR(timer);
    TIMER_PRESC_LS = (uint8_t)(TICK_PRESCALE & 0xffu);
    TIMER_PRESC_MS = (uint8_t)(TICK_PRESCALE >> 8);
    TIMER_CONTROL_2 |= (uint8_t)TIMER_CONTROL_2_PRESCALE(timer);
  }
  TIMER_WRITE_LS = 0xff;
  TIMER_WRITE_MS = 0xff;
  TIMER_CONTROL_3 |= (uint8_t)TIMER_CONTROL_3_UP(timer);
  TIMER_CONTROL_4 = (uint8_t)TIMER_CONTROL_4_CLEAR(timer);
  TIMER_CONTROL_1 = (uint8_t)TIMER_CONTROL_1_START(timer);
}

/* Must be called at least every 32 s, before the timer comes round; the main loop does in every turn. */
static uint32_t now_ms(void *ctx) {
  (void)ctx;
  uint16_t tick = read_timer(TIMER_A);
  ticks += (uint16_t)(tick - last_tick);
  last_tick = tick;
  static uint32_t ms;
  uint32_t whole = ticks / TICKS_PER_MS;
  ms += whole;
  ticks -= whole * TICKS_PER_MS;
  return ms;
}

static uint32_t jitter(void *ctx) {
  (void)ctx;
  return read_timer(TIMER_B);
}

static bool is_taken(unsigned pin) { return pin == 48u || pin == 49u || pin == 52u || pin == 53u; }

static bool gpio_direction(void *ctx, unsigned pin, enum postern_direction direction) {
  (void)ctx;
  if (pin > POSTERN_PIN_MAX || is_taken(pin)) return false;
  PAD_CFG(pin) = (uint8_t)(PAD_CFG(pin) & ~PAD_CFG_FUNCTION_MASK);
  uint32_t cfg = GPIO_CFG(pin) & ~(GPIO_CFG_DIRECTION_MASK << GPIO_CFG_SHIFT(pin));
  if (direction == POSTERN_OUTPUT) cfg |= GPIO_CFG_OUTPUT << GPIO_CFG_SHIFT(pin);
  GPIO_CFG(pin) = cfg;
  return true;
}

static bool gpio_write(void *ctx, unsigned pin, bool value) {
  (void)ctx;
  if (pin > POSTERN_PIN_MAX || is_taken(pin)) return false;
  uint32_t bit = 1u << (pin % 32u);
  GPIO_VALUE(pin) = value ? GPIO_VALUE(pin) | bit : GPIO_VALUE(pin) & ~bit;
  return true;
}

static int gpio_read(void *ctx, unsigned pin) {
  (void)ctx;
  if (pin > POSTERN_PIN_MAX) return -1;
  return (int)((GPIO_VALUE(pin) >> (pin % 32u)) & 1u);
}

static void uart_index(uint32_t base, uint8_t index, uint8_t value) {
  UART_SPR(base) = index;
  UART_ICR(base) = value;
}

static void uart_init(uint32_t base, unsigned transmit_pad, unsigned receive_pad) {
  PAD_CFG(transmit_pad) = (uint8_t)((PAD_CFG(transmit_pad) & ~PAD_CFG_FUNCTION_MASK) |
                                    (PAD_UART_FUNCTION << PAD_CFG_FUNCTION_SHIFT));
  PAD_CFG(receive_pad) = (uint8_t)((PAD_CFG(receive_pad) & ~PAD_CFG_FUNCTION_MASK) |
                                   (PAD_UART_FUNCTION << PAD_CFG_FUNCTION_SHIFT));
  UART_LCR(base) = UART_LCR_8N1;
  uart_index(base, UART_INDEX_CPR, 1u << 3); /* prescaler 1, in eighths */
  uart_index(base, UART_INDEX_TCR, UART_SAMPLES);
  UART_LCR(base) = UART_LCR_8N1 | UART_LCR_DLAB;
  UART_DLL(base) = (uint8_t)(UART_DIVISOR & 0xffu);
  UART_DLM(base) = (uint8_t)(UART_DIVISOR >> 8);
  UART_LCR(base) = UART_LCR_8N1;
  UART_MCR(base) = UART_MCR_RTS;
}

static bool uart_send(uint32_t base, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) {
    uint32_t patience = UART_PATIENCE;
    while ((UART_LSR(base) & UART_LSR_THRE) == 0)
      if (patience-- == 0) return false;
    UART_THR(base) = data[i];
  }
  return true;
}

static bool uart_write(void *ctx, const uint8_t *data, size_t length) {
  (void)ctx;
  return uart_send(UART0_BASE, data, length);
}

static void log_line(void *ctx, const char *line) {
  (void)ctx;
  (void)uart_send(UART1_BASE, (const uint8_t *)line, strlen(line));
  (void)uart_send(UART1_BASE, (const uint8_t *)"\r\n", 2);
}

static bool rtc_wait(void) {
  for (uint32_t i = 0; i < RTC_PATIENCE; i++)
    if ((RTC_CTRL & RTC_CTRL_WRITE_START) == 0) return true;
  return false;
}

static bool rtc_start(void) {
  if (!rtc_wait()) return false;
  RTC_CTRL |= RTC_CTRL_ENABLE | RTC_CTRL_AUTO_REFRESH | RTC_CTRL_WRITE_START;
  return rtc_wait();
}

static bool rtc_read(void *ctx, uint32_t *epoch) {
  struct pt_datetime at;
  uint32_t time;
  uint32_t date;
  (void)ctx;
  do { /* until no second passed in between */
    time = RTC_TIME;
    date = RTC_DATE;
  } while (time != RTC_TIME);
  at.second = pt_calendar_from_bcd((uint8_t)(time & 0x7fu));
  at.minute = pt_calendar_from_bcd((uint8_t)(time >> 8 & 0x7fu));
  at.hour = pt_calendar_from_bcd((uint8_t)(time >> 16 & 0x3fu));
  at.weekday = 0;
  at.day = pt_calendar_from_bcd((uint8_t)(date >> 8 & 0x3fu));
  at.month = pt_calendar_from_bcd((uint8_t)(date >> 16 & 0x1fu));
  at.year = (uint16_t)(2000u + pt_calendar_from_bcd((uint8_t)(date >> 24)));
  if (at.month == 0 || at.month > 12u || at.day == 0) return false; /* was never set */
  *epoch = pt_calendar_to_epoch(&at);
  return true;
}

static bool rtc_write(void *ctx, uint32_t epoch) {
  struct pt_datetime at;
  (void)ctx;
  pt_calendar_from_epoch(epoch, &at);
  if (!rtc_start()) return false;
  RTC_DATE = (uint32_t)(at.weekday + 1u) | (uint32_t)pt_calendar_to_bcd(at.day) << 8 |
             (uint32_t)pt_calendar_to_bcd(at.month) << 16 |
             (uint32_t)pt_calendar_to_bcd((uint8_t)(at.year - 2000u)) << 24;
  RTC_TIME = (uint32_t)pt_calendar_to_bcd(at.second) | (uint32_t)pt_calendar_to_bcd(at.minute) << 8 |
             (uint32_t)pt_calendar_to_bcd(at.hour) << 16;
  RTC_CTRL |= RTC_CTRL_WRITE_START;
  return rtc_wait();
}

static bool eth_link_up(void *ctx) {
  (void)ctx;
  return ft900_ethernet_link_up();
}

static void eth_set_mac(void *ctx, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  (void)ctx;
  ft900_ethernet_set_mac(mac);
}

static size_t eth_receive(void *ctx, uint8_t *frame, size_t size) {
  (void)ctx;
  return ft900_ethernet_receive(frame, size);
}

static bool eth_transmit(void *ctx, const uint8_t *frame, size_t length) {
  (void)ctx;
  return ft900_ethernet_transmit(frame, length);
}

/* Program memory is another address space, read by its own instruction. */
static size_t config_read(void *ctx, size_t offset, uint8_t *data, size_t length) {
  (void)ctx;
  const __flash__ uint8_t *from = (const __flash__ uint8_t *)(FT900_CONFIG + offset);
  for (size_t i = 0; i < length; i++) data[i] = from[i];
  return length;
}

static bool state_read(void *ctx, uint8_t state[POSTERN_STATE_SIZE]) {
  (void)ctx;
  return ft900_flash_read_state(state);
}

static bool state_write(void *ctx, const uint8_t state[POSTERN_STATE_SIZE]) {
  (void)ctx;
  return ft900_flash_write_state(state);
}

static void reset(void *ctx) {
  (void)ctx;
  ft900_flash_reboot();
  for (;;) { /* the watchdog ends this if the controller did not */
  }
}

/* newlib's would raise a signal, which wants an operating system. */
void abort(void) {
  reset(NULL);
  for (;;) {
  }
}

static void watchdog_start(void) {
  TIMER_WDG = WATCHDOG_EXPONENT;
  TIMER_CONTROL_2 |= TIMER_CONTROL_2_WDT_CLEAR;
  TIMER_CONTROL_2 |= TIMER_CONTROL_2_WDT_INT_ENABLE | TIMER_CONTROL_2_WDT_START;
}

static void watchdog_feed(void *ctx) {
  (void)ctx;
  TIMER_CONTROL_2 |= TIMER_CONTROL_2_WDT_CLEAR;
}

static void idle(void *ctx) { (void)ctx; }

int main(void) {
  static struct postern_hal hal;
  SYS_CLKCFG |= SYS_CLKCFG_UART0 | SYS_CLKCFG_UART1 | SYS_CLKCFG_TIMER;
  TIMER_CONTROL_0 = TIMER_CONTROL_0_ENABLE;
  start_timer(TIMER_A, true);
  start_timer(TIMER_B, false);
  watchdog_start();
  uart_init(UART0_BASE, 48u, 49u);
  uart_init(UART1_BASE, 52u, 53u);
  (void)rtc_start();
  ft900_ethernet_init();
  hal.now_ms = now_ms;
  hal.jitter = jitter;
  hal.gpio_direction = gpio_direction;
  hal.gpio_write = gpio_write;
  hal.gpio_read = gpio_read;
  hal.uart_write = uart_write;
  hal.rtc_read = rtc_read;
  hal.rtc_write = rtc_write;
  hal.eth_link_up = eth_link_up;
  hal.eth_set_mac = eth_set_mac;
  hal.eth_receive = eth_receive;
  hal.eth_transmit = eth_transmit;
  hal.config_read = config_read;
  hal.state_read = state_read;
  hal.state_write = state_write;
  hal.reset = reset;
  hal.watchdog_feed = watchdog_feed;
  hal.idle = idle;
  hal.log = log_line;
  pt_firmware_run(&hal);
}
