/** The proleptic Gregorian calendar, for clocks that count in years and days. */
#ifndef POSTERN_CALENDAR_H
#define POSTERN_CALENDAR_H

#include <stdint.h>

struct pt_datetime {
  uint16_t year;   /**< 1970-2106 */
  uint8_t month;   /**< 1-12 */
  uint8_t day;     /**< 1-31 */
  uint8_t weekday; /**< 0 is Sunday */
  uint8_t hour;
  uint8_t minute;
  uint8_t second;
};

/** `epoch` is seconds since 1970-01-01T00:00:00Z. */
void pt_calendar_from_epoch(uint32_t epoch, struct pt_datetime *datetime);
/** The other way; fields outside their ranges give an undefined time, never undefined behaviour. */
uint32_t pt_calendar_to_epoch(const struct pt_datetime *datetime);

uint8_t pt_calendar_to_bcd(uint8_t value);
uint8_t pt_calendar_from_bcd(uint8_t bcd);

#endif
