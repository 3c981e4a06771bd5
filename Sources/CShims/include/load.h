// What the load loop asks of the system besides the egress loop's calls: a needle in bytes, and timers without slack.
#ifndef SLUICE_LOAD_H
#define SLUICE_LOAD_H
#include <stddef.h>
#include "os.h"

// The offset of the first `needle` in `bytes`, or -1.
SLUICE_HOT long sluice_bytes_find(const void *bytes, size_t count, const void *needle, size_t length);
// The calling thread's timers fire when they are due, not up to 50 microseconds later (which the kernel does to save
// wake-ups).
void sluice_thread_exact_timers(void);
// In one instruction.
SLUICE_HOT static inline double sluice_square_root(double value) { return __builtin_sqrt(value); }
// Processor time of this process so far, in nanoseconds, and its resident memory in bytes.
uint64_t sluice_process_cpu_nanos(void);
uint64_t sluice_process_resident_bytes(void);
#endif
