#include "check.h"

#include <string.h>

unsigned check_count;
unsigned check_failures;

#ifdef __FT32__
#include <stdint.h>
/* UART1 of the board, and the simulator's exit. */
static void put(char c) { *(volatile uint8_t *)0x10330u = (uint8_t)c; }
#else
#include <stdio.h>
static void put(char c) { (void)putchar(c); }
#endif

void check_print(const char *text) {
  while (*text != '\0') put(*text++);
}

void check_number(unsigned long number) {
  if (number >= 10u) check_number(number / 10u);
  put((char)('0' + number % 10u));
}

void check_at(bool good, const char *what, const char *file, int line) {
  check_count++;
  if (good) return;
  check_failures++;
  const char *name = strrchr(file, '/');
  check_print(name != NULL ? name + 1 : file);
  put(':');
  check_number((unsigned long)line);
  check_print(": failed: ");
  check_print(what);
  put('\n');
}

static const struct {
  const char *name;
  void (*run)(void);
} SUITES[] = {
/* 64 KB do not hold all tests and vectors at once: on the simulator they run in two parts. */
#ifndef CHECK_VECTORS_ONLY
    {"text", test_text},         {"json", test_json},       {"base64", test_base64},     {"crc32", test_crc32},
    {"calendar", test_calendar}, {"state", test_state},     {"outq", test_outq},         {"backoff", test_backoff},
    {"methods", test_methods},   {"protocol", test_protocol}, {"session", test_session},
#endif
#ifndef CHECK_NO_VECTORS
    {"config", test_config},     {"vectors", test_vectors},
#endif
};

int main(void) {
  for (size_t i = 0; i < sizeof SUITES / sizeof SUITES[0]; i++) {
    unsigned before = check_failures;
    unsigned counted = check_count;
    SUITES[i].run();
    check_print(check_failures == before ? "ok   " : "FAIL ");
    check_print(SUITES[i].name);
    check_print(": ");
    check_number(check_count - counted);
    check_print(" checks\n");
    if (check_count == counted) {
      check_print("no check was made\n");
      check_failures++;
    }
  }
  check_number(check_count);
  check_print(" checks, ");
  check_number(check_failures);
  check_print(" failed\n");
  return check_failures == 0 ? 0 : 1;
}
