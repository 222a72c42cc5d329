#include <time.h>

#include "core/calendar.h"
#include "mbedtls/platform_time.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/x509_crt.h"
#include "port/port.h"

static struct pt_device *clock_device;

static mbedtls_time_t now_for_mbedtls(mbedtls_time_t *out) {
  uint32_t epoch = 0;
  (void)pt_methods_now(clock_device, &epoch);
  mbedtls_time_t time = (mbedtls_time_t)epoch;
  if (out != NULL) *out = time;
  return time;
}

struct tm *mbedtls_platform_gmtime_r(const mbedtls_time_t *time, struct tm *tm) {
  struct pt_datetime at;
  pt_calendar_from_epoch((uint32_t)*time, &at);
  *tm = (struct tm){0};
  tm->tm_year = at.year - 1900;
  tm->tm_mon = at.month - 1;
  tm->tm_mday = at.day;
  tm->tm_hour = at.hour;
  tm->tm_min = at.minute;
  tm->tm_sec = at.second;
  return tm;
}

void pt_clock_init(struct pt_device *device) {
  clock_device = device;
  (void)mbedtls_platform_set_time(now_for_mbedtls);
}

static uint32_t epoch_of(const mbedtls_x509_time *time) {
  struct pt_datetime at = {(uint16_t)time->year, (uint8_t)time->mon, (uint8_t)time->day, 0,
                           (uint8_t)time->hour,  (uint8_t)time->min, (uint8_t)time->sec};
  if (time->year >= 2106) return UINT32_MAX;
  return pt_calendar_to_epoch(&at);
}

/*
 * A clock that says a time at which this device's own certificate is not valid is wrong, whoever set it: taken at
 * its word it would lock the device out for good, since it can only be set again over a session.
 */
bool pt_clock_trusted(const void *own_certificate, uint32_t *epoch) {
  const mbedtls_x509_crt *own = own_certificate;
  if (!clock_device->state->clock_set || !pt_methods_now(clock_device, epoch)) return false;
  return *epoch >= epoch_of(&own->valid_from) && *epoch <= epoch_of(&own->valid_to);
}
