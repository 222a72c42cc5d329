/** How long to wait before the next attempt: doubling, bounded, with jitter, so that a fleet does not come at once. */
#ifndef POSTERN_BACKOFF_H
#define POSTERN_BACKOFF_H

#include <stdint.h>

/** First and longest wait, in ms. */
#define PT_BACKOFF_FIRST_MS 1000u
#define PT_BACKOFF_LONGEST_MS 60000u

struct pt_backoff {
  uint32_t ceiling_ms;
};

void pt_backoff_reset(struct pt_backoff *backoff);
/** Between half of the ceiling and all of it; the ceiling doubles. */
uint32_t pt_backoff_next(struct pt_backoff *backoff, uint32_t random);

#endif
