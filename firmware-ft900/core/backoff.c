#include "core/backoff.h"

void pt_backoff_reset(struct pt_backoff *backoff) { backoff->ceiling_ms = PT_BACKOFF_FIRST_MS; }

uint32_t pt_backoff_next(struct pt_backoff *backoff, uint32_t random) {
  uint32_t half = backoff->ceiling_ms / 2u;
  uint32_t wait = half + random % (half + 1u);
  backoff->ceiling_ms =
      backoff->ceiling_ms > PT_BACKOFF_LONGEST_MS / 2u ? PT_BACKOFF_LONGEST_MS : backoff->ceiling_ms * 2u;
  return wait;
}
