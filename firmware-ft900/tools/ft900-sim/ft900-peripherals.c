/* Models of the FT900's peripherals for GDB's FT32 simulator.

   Copyright (C) 2026 the Postern authors

   This program is free software; you can redistribute it and/or modify
   it under the terms of the GNU General Public License as published by
   the Free Software Foundation; either version 3 of the License, or
   (at your option) any later version.

   This program is distributed in the hope that it will be useful,
   but WITHOUT ANY WARRANTY; without even the implied warranty of
   MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
   GNU General Public License for more details.

   You should have received a copy of the GNU General Public License
   along with this program.  If not, see <http://www.gnu.org/licenses/>.  */

/* Included by interp.c.  The environment says what the board is wired to:

     FT900_FLASH  file of 256 KB, the serial flash; made where it is not there
     FT900_TAP    name of the TAP interface that the Ethernet PHY is plugged into
     FT900_UART0  file that gets what UART0 sends (default: standard output)

   UART1 and all that pins do go to standard error, a line each.  A register
   that is not modelled ends the run with its address: better that than a
   firmware that works on the model alone.  */

#include <errno.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FT900_FLASH_SIZE 0x40000
#define FT900_BOOT_LOADER 0x3fffc
#define FT900_IMAGE_MAX 0x3b000
#define FT900_JUMP_TO_IMAGE 0x00300023	/* jmp 0x8c */
#define FT900_PHY 0x17
#define FT900_FIFO_FRAMES 4

/* Program and data memory, in place of the simulator's general memory maps:
   these take most of its time, and a TLS handshake of 1.5 s on the part must
   not run into the broker's limit of 5 s.  GDB's own view is not kept.  */
static uint8_t ft900_pm[0x40000];
static uint8_t ft900_ram[0x10000];

static struct
{
  int ready;
  uint8_t sys[0x1c];
  uint8_t pads[0x44];
  uint32_t gpio_cfg[9];
  uint32_t gpio_val[3];
  uint32_t phy_misc;
  uint8_t irq_ctl;

  uint8_t eth_int, eth_int_en, eth_rx, eth_tx, eth_mng, eth_mng_div, eth_mng_addr;
  uint8_t eth_addr[6];
  uint16_t eth_mng_tx, eth_mng_rx;
  uint16_t mii[32];
  int tap;
  uint8_t rx[FT900_FIFO_FRAMES][2048];
  unsigned rx_len[FT900_FIFO_FRAMES];
  unsigned rx_first, rx_count, rx_at;
  uint8_t tx[2048];
  unsigned tx_at;
  unsigned idle_polls;

  uint8_t uart[2][8];
  FILE *uart0;
  char line[256];
  unsigned line_at;

  uint8_t timer[16];
  struct { uint16_t presc; uint64_t started_ns; int running; uint8_t presc_ls, presc_ms; } timers[4];
  uint64_t wdt_fed_ns;
  int wdt_rolls;

  uint8_t flash_reg[16];
  uint8_t *flash;
  int flash_fd;
  int write_enabled;

  uint32_t rtc_ctrl, rtc_time, rtc_date;
  uint64_t rtc_set_ns;
  int64_t rtc_seconds;

  uint32_t lowest_sp;
  uint64_t *cycles;
} ft900;

static uint64_t
ft900_ns (void)
{
  struct timespec at;
  clock_gettime (CLOCK_MONOTONIC, &at);
  return (uint64_t) at.tv_sec * 1000000000u + at.tv_nsec;
}

static void
ft900_die (const char *what, const char *name)
{
  fprintf (stderr, "ft900: %s %s: %s\n", what, name, strerror (errno));
  exit (1);
}

static void
ft900_report (int sig)
{
  static char text[128];
  int n = snprintf (text, sizeof text, "ft900: most stack used: %u bytes; clocks: %llu M\n",
		    (unsigned) (0x10000 - ft900.lowest_sp),
		    (unsigned long long) *ft900.cycles / 1000000);
  if (write (2, text, n) != n)
    _exit (1);
  _exit (0);
}

static void
ft900_open_flash (SIM_DESC sd)
{
  const char *name = getenv ("FT900_FLASH");
  static uint8_t blank[FT900_FLASH_SIZE];
  if (name == NULL)
    {
      ft900.flash = malloc (FT900_FLASH_SIZE);
      memset (ft900.flash, 0xff, FT900_FLASH_SIZE);
    }
  else
    {
      ft900.flash_fd = open (name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (ft900.flash_fd < 0)
	ft900_die ("flash", name);
      memset (blank, 0xff, sizeof blank);
      if (lseek (ft900.flash_fd, 0, SEEK_END) < FT900_FLASH_SIZE
	  && pwrite (ft900.flash_fd, blank, sizeof blank, 0) != sizeof blank)
	ft900_die ("flash", name);
      ft900.flash = mmap (NULL, FT900_FLASH_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED, ft900.flash_fd, 0);
      if (ft900.flash == MAP_FAILED)
	ft900_die ("flash", name);
    }
  /* At reset the part copies flash to program memory.  The image comes from
     the ELF file instead; all behind it from the flash, and a boot loader
     that does the one thing that is seen of it.  */
  sim_core_read_buffer (sd, NULL, read_map, ft900_pm, 0, FT900_IMAGE_MAX);
  sim_core_read_buffer (sd, NULL, read_map, ft900_ram, RAM_BIAS, sizeof ft900_ram);
  memcpy (ft900_pm + FT900_IMAGE_MAX, ft900.flash + FT900_IMAGE_MAX,
	  sizeof ft900_pm - FT900_IMAGE_MAX);
  ft32_store_unsigned_integer (ft900_pm + FT900_BOOT_LOADER, 4, FT900_JUMP_TO_IMAGE);
}

static void
ft900_open_tap (void)
{
  const char *name = getenv ("FT900_TAP");
  struct ifreq request;
  ft900.tap = -1;
  if (name == NULL)
    return;
  ft900.tap = open ("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (ft900.tap < 0)
    ft900_die ("TAP", "/dev/net/tun");
  memset (&request, 0, sizeof request);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  snprintf (request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl (ft900.tap, TUNSETIFF, &request) != 0)
    ft900_die ("TAP", name);
}

static void
ft900_init (SIM_DESC sd)
{
  const char *uart0 = getenv ("FT900_UART0");
  if (ft900.ready)
    return;
  ft900.ready = 1;
  ft900.lowest_sp = 0x10000;
  ft900.cycles = &STATE_CPU (sd, 0)->state.cycles;
  ft900.uart0 = uart0 ? fopen (uart0, "ae") : stdout;
  if (ft900.uart0 == NULL)
    ft900_die ("UART0", uart0);
  if (getenv ("FT900_RTC_OFFSET") != NULL)
    {
      ft900.rtc_seconds = time (NULL) + atoll (getenv ("FT900_RTC_OFFSET"));
      ft900.rtc_set_ns = ft900_ns ();
      ft900.rtc_time = 0xffffffff;
      ft900.rtc_ctrl = 1;
    }
  ft900_open_flash (sd);
  ft900_open_tap ();
  signal (SIGTERM, ft900_report);
  signal (SIGINT, ft900_report);
}

static void
ft900_reset (const char *why)
{
  static char path[4096];
  static char command[65536];
  static char *args[256];
  ssize_t n;
  unsigned i = 0;
  char *at;
  int fd = open ("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  fprintf (stderr, "ft900: reset by %s\n", why);
  fprintf (stderr, "ft900: most stack used: %u bytes\n",
	   (unsigned) (0x10000 - ft900.lowest_sp));
  fflush (NULL);
  n = read (fd, command, sizeof command - 1);
  for (at = command; at < command + n && i < 255; at += strlen (at) + 1)
    args[i++] = at;
  n = readlink ("/proc/self/exe", path, sizeof path - 1);
  if (n > 0)
    execv (path, args);
  ft900_die ("reset", path);
}

/* ---- GPIO ---- */

static void
ft900_gpio_show (unsigned pin)
{
  unsigned output = (ft900.gpio_cfg[pin / 8] >> (pin % 8 * 4) & 12) == 4;
  fprintf (stderr, "gpio %u %s %u\n", pin, output ? "output" : "input",
	   (unsigned) (ft900.gpio_val[pin / 32] >> (pin % 32) & 1));
}

static void
ft900_gpio_changed (unsigned first, unsigned count, uint32_t changed, unsigned bits)
{
  unsigned i;
  for (i = 0; i < count && first + i <= 66; i++)
    if (changed >> (i * bits) & ((1u << bits) - 1))
      ft900_gpio_show (first + i);
}

/* ---- Ethernet ---- */

static int
ft900_link (void)
{
  /* A TAP takes frames while it is up.  */
  struct pollfd entry = { ft900.tap, POLLOUT, 0 };
  if (ft900.tap < 0)
    return 0;
  poll (&entry, 1, 0);
  return (entry.revents & POLLOUT) != 0;
}

static int
ft900_wanted (const uint8_t *frame)
{
  static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
  return memcmp (frame, all, 6) == 0 || memcmp (frame, ft900.eth_addr, 6) == 0
	 || ((ft900.eth_rx & 2) && (frame[0] & 1)) || (ft900.eth_rx & 4);
}

/* Fetch frames from the wire into the receive FIFO while there is room.  */
static void
ft900_receive (void)
{
  while (ft900.tap >= 0 && (ft900.eth_rx & 1) && ft900.rx_count < FT900_FIFO_FRAMES)
    {
      unsigned slot = (ft900.rx_first + ft900.rx_count) % FT900_FIFO_FRAMES;
      uint8_t *at = ft900.rx[slot];
      ssize_t n = read (ft900.tap, at + 2, 2000);
      if (n < 14)
	return;
      if (!ft900_wanted (at + 2))
	continue;
      if (n < 60)
	{
	  memset (at + 2 + n, 0, 60 - n);
	  n = 60;
	}
      memset (at + 2 + n, 0xcc, 8);	/* the frame check sequence, whatever it is */
      n += 6;
      at[0] = n & 0xff;
      at[1] = n >> 8;
      ft900.rx_len[slot] = (n + 3) & ~3;
      ft900.rx_count++;
    }
}

static unsigned
ft900_num_pkt (void)
{
  struct pollfd entry = { ft900.tap, POLLIN, 0 };
  ft900_receive ();
  if (ft900.rx_count > 0)
    ft900.idle_polls = 0;
  else if (++ft900.idle_polls > 16)
    /* A firmware that polls burns a processor of ours: let it sleep until a
       frame comes, a millisecond at most.  */
    if (ft900.tap >= 0 && (poll (&entry, 1, 1), entry.revents & POLLIN))
      ft900_receive ();
  return ft900.rx_count;
}

static uint32_t
ft900_eth_pop (void)
{
  uint32_t word;
  if (ft900.rx_count == 0)
    return 0;
  word = ft32_extract_unsigned_integer (ft900.rx[ft900.rx_first] + ft900.rx_at, 4);
  ft900.rx_at += 4;
  if (ft900.rx_at >= ft900.rx_len[ft900.rx_first])
    {
      ft900.rx_at = 0;
      ft900.rx_first = (ft900.rx_first + 1) % FT900_FIFO_FRAMES;
      ft900.rx_count--;
    }
  return word;
}

static void
ft900_eth_send (void)
{
  unsigned length = (ft900.tx[0] | ft900.tx[1] << 8) + 14;
  static uint8_t padded[2048];
  if (length + 2 > ft900.tx_at || length > 2032)
    {
      fprintf (stderr, "ft900: Ethernet: length field %u does not fit the %u bytes written\n",
	       length, ft900.tx_at);
      ft900.eth_int |= 2;
    }
  else if (ft900.tap >= 0 && (ft900.eth_tx & 1))
    {
      memset (padded, 0, sizeof padded);
      memcpy (padded, ft900.tx + 2, length);
      if (length < 60 && (ft900.eth_tx & 2))
	length = 60;
      /* A full or unplugged wire loses frames, as wires do.  */
      if (write (ft900.tap, padded, length) >= 0)
	ft900.eth_int |= 4;
    }
  ft900.tx_at = 0;
  ft900.idle_polls = 0;
}

static void
ft900_mii (void)
{
  unsigned reg = ft900.eth_mng >> 3;
  if (!(ft900.eth_mng & 1))
    return;
  if (ft900.eth_mng_addr == FT900_PHY)
    {
      if (ft900.eth_mng & 2)
	ft900.mii[reg] = reg == 0 ? ft900.eth_mng_tx & 0x7fff : ft900.eth_mng_tx;
      else
	ft900.eth_mng_rx = ft900.mii[reg];
    }
  ft900.eth_int |= 1 << 5;
}

/* ---- timers, watchdog ---- */

static uint16_t
ft900_timer_value (unsigned timer)
{
  uint64_t clocks;
  if (!ft900.timers[timer].running)
    return 0;
  clocks = (ft900_ns () - ft900.timers[timer].started_ns) / 10;
  if (ft900.timer[2] >> (4 + timer) & 1)
    clocks /= ft900.timers[timer].presc ? ft900.timers[timer].presc : 65536;
  return clocks & 0xffff;
}

static void
ft900_watchdog (void)
{
  if (ft900.timer[2] & 1)
    {
      uint64_t period = 10ull << (ft900.timer[7] & 31);
      /* Revision C resets when it runs out a second time.  */
      if (ft900_ns () - ft900.wdt_fed_ns > 2 * period)
	ft900_reset ("watchdog");
    }
}

static void
ft900_timer_write (unsigned reg, uint8_t d)
{
  unsigned select = ft900.timer[6] & 3;
  unsigned i;
  switch (reg)
    {
    case 1:
      for (i = 0; i < 4; i++)
	if (d >> i & 1)
	  {
	    ft900.timers[i].running = 1;
	    ft900.timers[i].started_ns = ft900_ns ();
	  }
      break;
    case 2:
      if (d & 2)
	{
	  ft900.wdt_fed_ns = ft900_ns ();
	  d &= ~2;
	}
      if ((d & 1) && !(ft900.timer[2] & 1))
	ft900.wdt_fed_ns = ft900_ns ();
      ft900.timer[2] = d | (ft900.timer[2] & 1);	/* cannot be stopped */
      return;
    case 10:
      ft900.timers[select].presc = (ft900.timers[select].presc & 0xff00) | d;
      break;
    case 11:
      ft900.timers[select].presc = (ft900.timers[select].presc & 0xff) | d << 8;
      break;
    }
  ft900.timer[reg] = d;
}

/* ---- flash controller ---- */

static void
ft900_flash_command (SIM_DESC sd, uint8_t command)
{
  uint8_t *r = ft900.flash_reg;
  uint32_t ram = (r[0] | r[1] << 8 | r[2] << 16) << 2;
  uint32_t flash = r[3] | r[4] << 8 | r[5] << 16;
  uint32_t length = (r[6] | r[7] << 8 | r[8] << 16) + 1;
  uint32_t i;
  if (flash + length > FT900_FLASH_SIZE || ram + length > 0x10000)
    {
      fprintf (stderr, "ft900: flash command %02x outside of memory\n", command);
      return;
    }
  switch (command)
    {
    case 0x06:
      ft900.write_enabled = 1;
      return;
    case 0x20:
      if (ft900.write_enabled)
	memset (ft900.flash + (flash & ~0xfffu), 0xff, 4096);
      break;
    case 0xf8:
      if (ft900.write_enabled && (flash & 255) == 0 && (length & 255) == 0)
	for (i = 0; i < length; i++)	/* programming clears bits, only an erase sets them */
	  ft900.flash[flash + i] &= ft900_ram[ram + i];
      else
	fprintf (stderr, "ft900: flash write refused\n");
      break;
    case 0xfc:
    case 0xfe:
      for (i = 0; i < length; i++)
	ft900_ram[ram + i] = ft900.flash[flash + i];
      if (command == 0xfe)
	ft900_reset ("flash controller");
      break;
    default:
      fprintf (stderr, "ft900: flash command %02x is not modelled\n", command);
    }
  if (ft900.flash_fd > 0)
    msync (ft900.flash, FT900_FLASH_SIZE, MS_ASYNC);
  ft900.write_enabled = 0;
}

/* ---- real-time clock: BCD registers that run ---- */

static unsigned
ft900_bcd (unsigned v)
{
  return v / 10 << 4 | v % 10;
}

static unsigned
ft900_unbcd (unsigned v)
{
  return (v >> 4) * 10 + (v & 15);
}

static void
ft900_rtc_load (void)
{
  struct tm tm;
  static char offset[32];
  memset (&tm, 0, sizeof tm);
  tm.tm_sec = ft900_unbcd (ft900.rtc_time & 0x7f);
  tm.tm_min = ft900_unbcd (ft900.rtc_time >> 8 & 0x7f);
  tm.tm_hour = ft900_unbcd (ft900.rtc_time >> 16 & 0x3f);
  tm.tm_mday = ft900_unbcd (ft900.rtc_date >> 8 & 0x3f);
  tm.tm_mon = ft900_unbcd (ft900.rtc_date >> 16 & 0x1f) - 1;
  tm.tm_year = 100 + ft900_unbcd (ft900.rtc_date >> 24);
  ft900.rtc_seconds = timegm (&tm);
  ft900.rtc_set_ns = ft900_ns ();
  /* The clock has its own supply: it runs on over a reset, which starts this
     program again.  */
  snprintf (offset, sizeof offset, "%lld", (long long) (ft900.rtc_seconds - time (NULL)));
  setenv ("FT900_RTC_OFFSET", offset, 1);
}

static void
ft900_rtc_now (uint32_t *time_reg, uint32_t *date_reg)
{
  struct tm tm;
  time_t now;
  if (ft900.rtc_set_ns == 0 || !(ft900.rtc_ctrl & 1))
    {
      *time_reg = ft900.rtc_time;
      *date_reg = ft900.rtc_date;
      return;
    }
  now = ft900.rtc_seconds + (ft900_ns () - ft900.rtc_set_ns) / 1000000000u;
  gmtime_r (&now, &tm);
  *time_reg = ft900_bcd (tm.tm_sec) | ft900_bcd (tm.tm_min) << 8 | ft900_bcd (tm.tm_hour) << 16;
  *date_reg = (tm.tm_wday + 1) | ft900_bcd (tm.tm_mday) << 8 | ft900_bcd (tm.tm_mon + 1) << 16
	      | (uint32_t) ft900_bcd (tm.tm_year % 100) << 24;
}

/* ---- the register file ---- */

static uint32_t
ft900_uart_read (unsigned n, unsigned reg)
{
  return reg == 5 ? 0x60 : ft900.uart[n][reg];
}

static void
ft900_uart_write (unsigned n, unsigned reg, uint8_t d)
{
  if (reg == 0 && !(ft900.uart[n][3] & 0x80))
    {
      if (n == 0)
	{
	  fputc (d, ft900.uart0);
	  fflush (ft900.uart0);
	}
      else if (d == '\n' || ft900.line_at == sizeof ft900.line - 1)
	{
	  fprintf (stderr, "%.*s\n", (int) ft900.line_at, ft900.line);
	  ft900.line_at = 0;
	}
      else if (d != '\r')
	ft900.line[ft900.line_at++] = d;
      return;
    }
  ft900.uart[n][reg] = d;
}

/* One byte of a bank of registers that just remember.  */
static uint32_t
ft900_bank_read (const uint8_t *bank, unsigned at, uint32_t dw)
{
  return ft32_extract_unsigned_integer (bank + at, 1 << dw);
}

static void
ft900_bank_write (uint8_t *bank, unsigned at, uint32_t dw, uint32_t d)
{
  ft32_store_unsigned_integer (bank + at, 1 << dw, d);
}

/* 1: the address is one of ours, and its value is in *V.  */
static int
ft900_io_read (SIM_DESC sd, uint32_t dw, uint32_t ea, uint32_t *v)
{
  uint32_t other;
  if (ea < 0x1001c && ea >= 0x10000)
    {
      if (ea == 0x10000)
	*v = 0x09000003;
      else
	*v = ft900_bank_read (ft900.sys, ea - 0x10000, dw);
    }
  else if (ea < 0x10060)
    *v = ft900_bank_read (ft900.pads, ea - 0x1001c, dw);
  else if (ea < 0x10084)
    *v = ft900.gpio_cfg[(ea - 0x10060) / 4];
  else if (ea < 0x10090)
    *v = ft900.gpio_val[(ea - 0x10084) / 4];
  else if (ea == 0x100a8)
    *v = (ft900.phy_misc & 0x7fffffff) | (ft900_link () ? 1u << 31 : 0);
  else if (ea == 0x100e3)
    *v = ft900.irq_ctl;
  else if (ea >= 0x10220 && ea < 0x10238)
    switch (ea)
      {
      case 0x10220: *v = ft900.eth_int | (ft900.rx_count ? 1 : 0); break;
      case 0x10221: *v = ft900.eth_int_en; break;
      case 0x10222: *v = ft900.eth_rx; break;
      case 0x10223: *v = ft900.eth_tx; break;
      case 0x10224: *v = ft900_eth_pop (); break;
      case 0x1022f: *v = ft900.eth_mng; break;
      case 0x10234: *v = ft900.eth_mng_rx; break;
      case 0x10236: ft900_watchdog (); *v = ft900_num_pkt (); break;
      case 0x10237: *v = 0; break;
      default: return 0;
      }
  else if (ea >= 0x10320 && ea < 0x10328)
    *v = ft900_uart_read (0, ea - 0x10320);
  else if (ea >= 0x10330 && ea < 0x10338)
    *v = ft900_uart_read (1, ea - 0x10330);
  else if (ea >= 0x10340 && ea < 0x10350)
    {
      unsigned timer = ft900.timer[6] >> 2 & 3;
      ft900_watchdog ();
      if (ea == 0x1034c)
	*v = ft900_timer_value (timer) & 0xff;
      else if (ea == 0x1034d)
	*v = ft900_timer_value (timer) >> 8;
      else
	*v = ft900.timer[ea - 0x10340];
    }
  else if (ea >= 0x10800 && ea < 0x10810)
    *v = ea == 0x1080d || ea == 0x1080b ? 0 : ft900.flash_reg[ea - 0x10800];
  else if (ea == 0x10900)
    ft900_rtc_now (v, &other);
  else if (ea == 0x10904)
    ft900_rtc_now (&other, v);
  else if (ea == 0x10910)
    *v = ft900.rtc_ctrl;
  else
    return 0;
  return 1;
}

static int
ft900_io_write (SIM_DESC sd, uint32_t dw, uint32_t ea, uint32_t d)
{
  if (ea >= 0x10000 && ea < 0x1001c)
    {
      ft900_bank_write (ft900.sys, ea - 0x10000, dw, d);
      if (ea == 0x10018)
	ft900.sys[0x19] &= ~1;	/* the PHY's reset is over at once */
    }
  else if (ea >= 0x1001c && ea < 0x10060)
    ft900_bank_write (ft900.pads, ea - 0x1001c, dw, d);
  else if (ea >= 0x10060 && ea < 0x10084)
    {
      unsigned n = (ea - 0x10060) / 4;
      uint32_t changed = ft900.gpio_cfg[n] ^ d;
      ft900.gpio_cfg[n] = d;
      ft900_gpio_changed (n * 8, 8, changed, 4);
    }
  else if (ea >= 0x10084 && ea < 0x10090)
    {
      unsigned n = (ea - 0x10084) / 4;
      uint32_t changed = ft900.gpio_val[n] ^ d;
      ft900.gpio_val[n] = d;
      ft900_gpio_changed (n * 32, 32, changed, 1);
    }
  else if (ea == 0x100a8)
    ft900.phy_misc = d;
  else if (ea == 0x100e3)
    ft900.irq_ctl = d;
  else if (ea >= 0x10228 && ea < 0x1022e)
    ft900.eth_addr[ea - 0x10228] = d;
  else if (ea >= 0x10220 && ea < 0x10238)
    switch (ea)
      {
      case 0x10220: ft900.eth_int &= ~d; break;
      case 0x10221: ft900.eth_int_en = d; break;
      case 0x10222:
	ft900.eth_rx = d & ~(1 << 4);
	if (d & 1 << 4)
	  ft900.rx_count = ft900.rx_at = 0;
	break;
      case 0x10223: ft900.eth_tx = d; break;
      case 0x10224:
	if (dw == 2 && ft900.tx_at + 4 <= sizeof ft900.tx)
	  {
	    ft32_store_unsigned_integer (ft900.tx + ft900.tx_at, 4, d);
	    ft900.tx_at += 4;
	  }
	break;
      case 0x1022f: ft900.eth_mng = d; ft900_mii (); break;
      case 0x10230: ft900.eth_mng_div = d; break;
      case 0x10231: ft900.eth_mng_addr = d; break;
      case 0x10232: ft900.eth_mng_tx = d; break;
      case 0x10237: if (d & 1) ft900_eth_send (); break;
      default: return 0;
      }
  else if (ea >= 0x10320 && ea < 0x10328)
    ft900_uart_write (0, ea - 0x10320, d);
  else if (ea >= 0x10330 && ea < 0x10338)
    ft900_uart_write (1, ea - 0x10330, d);
  else if (ea >= 0x10340 && ea < 0x10350)
    ft900_timer_write (ea - 0x10340, d);
  else if (ea == 0x10809)
    ft900_flash_command (sd, d);
  else if (ea >= 0x10800 && ea < 0x10810)
    ft900.flash_reg[ea - 0x10800] = d;
  else if (ea == 0x10900)
    ft900.rtc_time = d;
  else if (ea == 0x10904)
    ft900.rtc_date = d;
  else if (ea == 0x10910)
    {
      if ((d & 1 << 9) && (ft900.rtc_date >> 8 & 0x3f))
	{
	  /* The write goes through when the registers differ from the time that runs.  */
	  uint32_t t, dt;
	  ft900_rtc_now (&t, &dt);
	  if (ft900.rtc_set_ns == 0 || ft900.rtc_time != 0xffffffff)
	    {
	      ft900_rtc_load ();
	      ft900.rtc_time = 0xffffffff;
	    }
	}
      ft900.rtc_ctrl = d & ~(3 << 8);
    }
  else
    return 0;
  return 1;
}
