/*
 * The same firmware as a Linux program: Ethernet is a TAP interface, all else is simulated. For development and
 * for the tests; its keys lie in files, so it is no device to trust.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "port/port.h"

struct host {
  int tap;
  const char *config_file;
  const char *state_file;
  bool output[POSTERN_PIN_MAX + 1u];
  bool level[POSTERN_PIN_MAX + 1u];
  int64_t clock_offset;
  char **argv;
};

static uint32_t now_ms(void *ctx) {
  struct timespec at;
  (void)ctx;
  (void)clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint32_t)((uint64_t)at.tv_sec * 1000u + (uint64_t)at.tv_nsec / 1000000u);
}

static uint32_t jitter(void *ctx) {
  uint32_t value = 0;
  (void)ctx;
  if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) abort();
  return value;
}

static bool gpio_direction(void *ctx, unsigned pin, enum postern_direction direction) {
  struct host *host = ctx;
  if (pin > POSTERN_PIN_MAX) return false;
  host->output[pin] = direction == POSTERN_OUTPUT;
  printf("gpio %u %s %d\n", pin, host->output[pin] ? "output" : "input", host->level[pin]);
  return true;
}

static bool gpio_write(void *ctx, unsigned pin, bool value) {
  struct host *host = ctx;
  if (pin > POSTERN_PIN_MAX) return false;
  host->level[pin] = value;
  return true;
}

static int gpio_read(void *ctx, unsigned pin) {
  struct host *host = ctx;
  return pin > POSTERN_PIN_MAX ? -1 : host->level[pin];
}

static bool uart_write(void *ctx, const uint8_t *data, size_t length) {
  (void)ctx;
  printf("uart0 ");
  for (size_t i = 0; i < length; i++) printf("%02x", data[i]);
  printf("\n");
  return true;
}

static bool rtc_read(void *ctx, uint32_t *epoch) {
  struct host *host = ctx;
  *epoch = (uint32_t)((int64_t)time(NULL) + host->clock_offset);
  return true;
}

static bool rtc_write(void *ctx, uint32_t epoch) {
  struct host *host = ctx;
  host->clock_offset = (int64_t)epoch - (int64_t)time(NULL);
  return true;
}

/* A TAP interface takes frames while it is up: "ip link set NAME down" pulls the cable. */
static bool eth_link_up(void *ctx) {
  struct host *host = ctx;
  struct pollfd entry = {host->tap, POLLOUT, 0};
  (void)poll(&entry, 1, 0);
  return (entry.revents & POLLOUT) != 0;
}

static void eth_set_mac(void *ctx, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  (void)ctx;
  (void)mac; /* a TAP hands over whatever is on the wire; lwIP picks its own */
}

static size_t eth_receive(void *ctx, uint8_t *frame, size_t size) {
  struct host *host = ctx;
  ssize_t length = read(host->tap, frame, size);
  return length > 0 ? (size_t)length : 0;
}

static bool eth_transmit(void *ctx, const uint8_t *frame, size_t length) {
  struct host *host = ctx;
  return write(host->tap, frame, length) == (ssize_t)length;
}

static size_t read_at(const char *file, size_t offset, uint8_t *data, size_t length) {
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = pread(fd, data, length, (off_t)offset);
  (void)close(fd);
  return got > 0 ? (size_t)got : 0;
}

static size_t config_read(void *ctx, size_t offset, uint8_t *data, size_t length) {
  const struct host *host = ctx;
  return read_at(host->config_file, offset, data, length);
}

static bool state_read(void *ctx, uint8_t state[POSTERN_STATE_SIZE]) {
  const struct host *host = ctx;
  return read_at(host->state_file, 0, state, POSTERN_STATE_SIZE) == POSTERN_STATE_SIZE;
}

static bool state_write(void *ctx, const uint8_t state[POSTERN_STATE_SIZE]) {
  const struct host *host = ctx;
  char name[512];
  if (snprintf(name, sizeof name, "%s.new", host->state_file) >= (int)sizeof name) return false;
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool good = write(fd, state, POSTERN_STATE_SIZE) == (ssize_t)POSTERN_STATE_SIZE && fsync(fd) == 0;
  good = close(fd) == 0 && good;
  return good && rename(name, host->state_file) == 0;
}

static void reset(void *ctx) {
  const struct host *host = ctx;
  (void)execv("/proc/self/exe", host->argv);
  perror("restart");
  exit(1);
}

static void watchdog_feed(void *ctx) { (void)ctx; }

static void idle(void *ctx) {
  const struct host *host = ctx;
  struct pollfd entry = {host->tap, POLLIN, 0};
  if (poll(&entry, 1, 1) > 0 && (entry.revents & POLLIN) == 0) (void)usleep(1000);
}

static void log_line(void *ctx, const char *line) {
  (void)ctx;
  fprintf(stderr, "%s\n", line);
}

static int open_tap(const char *name) {
  struct ifreq request;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    fprintf(stderr, "/dev/net/tun cannot be opened: %s; the host build needs a TAP interface\n", strerror(errno));
    exit(1);
  }
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    fprintf(stderr, "the TAP interface %s cannot be used: %s; make it with: ip tuntap add dev %s mode tap\n", name,
            strerror(errno), name);
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  static struct host host;
  static struct postern_hal hal;
  if (argc != 4) {
    fprintf(stderr, "usage: %s TAP CONFIGURATION-BLOCK STATE-FILE\n", argv[0]);
    return 2;
  }
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  host.tap = open_tap(argv[1]);
  host.config_file = argv[2];
  host.state_file = argv[3];
  host.argv = argv;
  hal = (struct postern_hal){&host,     now_ms,       jitter,      gpio_direction, gpio_write,  gpio_read,
                             uart_write, rtc_read,    rtc_write,   eth_link_up,    eth_set_mac, eth_receive,
                             eth_transmit, config_read, state_read, state_write,   reset,       watchdog_feed,
                             idle,      log_line};
  pt_firmware_run(&hal);
}
