#include "core/calendar.h"

#define SECONDS_PER_DAY 86400u

/* Days from civil and back, with years that begin in March so that the leap day is the last one. */
static uint32_t days_from_civil(uint32_t year, uint32_t month, uint32_t day) {
  uint32_t y = month <= 2u ? year - 1u : year;
  uint32_t shifted = month > 2u ? month - 3u : month + 9u;
  uint32_t era_days = (153u * shifted + 2u) / 5u + day - 1u;
  return 365u * y + y / 4u - y / 100u + y / 400u + era_days - 719468u;
}

void pt_calendar_from_epoch(uint32_t epoch, struct pt_datetime *datetime) {
  uint32_t days = epoch / SECONDS_PER_DAY;
  uint32_t rest = epoch % SECONDS_PER_DAY;
  uint32_t z = days + 719468u;
  uint32_t era = z / 146097u;
  uint32_t day_of_era = z - era * 146097u;
  uint32_t year_of_era = (day_of_era - day_of_era / 1460u + day_of_era / 36524u - day_of_era / 146096u) / 365u;
  uint32_t day_of_year = day_of_era - (365u * year_of_era + year_of_era / 4u - year_of_era / 100u);
  uint32_t shifted = (5u * day_of_year + 2u) / 153u;
  uint32_t month = shifted < 10u ? shifted + 3u : shifted - 9u;
  uint32_t year = year_of_era + era * 400u + (month <= 2u ? 1u : 0u);
  datetime->year = (uint16_t)year;
  datetime->month = (uint8_t)month;
  datetime->day = (uint8_t)(day_of_year - (153u * shifted + 2u) / 5u + 1u);
  datetime->weekday = (uint8_t)((days + 4u) % 7u); /* 1970-01-01 was a Thursday */
  datetime->hour = (uint8_t)(rest / 3600u);
  datetime->minute = (uint8_t)(rest / 60u % 60u);
  datetime->second = (uint8_t)(rest % 60u);
}

uint32_t pt_calendar_to_epoch(const struct pt_datetime *datetime) {
  uint32_t days = days_from_civil(datetime->year, datetime->month, datetime->day);
  return days * SECONDS_PER_DAY + datetime->hour * 3600u + datetime->minute * 60u + datetime->second;
}

uint8_t pt_calendar_to_bcd(uint8_t value) { return (uint8_t)(((value / 10u) << 4) | (value % 10u)); }

uint8_t pt_calendar_from_bcd(uint8_t bcd) { return (uint8_t)((bcd >> 4) * 10u + (bcd & 15u)); }
