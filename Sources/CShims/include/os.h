// Operating-system calls: clocks, memory, descriptors, sockets. Thin wrappers; errors come back as -errno.
#ifndef SLUICE_OS_H
#define SLUICE_OS_H
#include <stddef.h>
#include <stdint.h>
#include <time.h>

// Marks a wrapper that neither allocates nor locks, so that Swift may call it from an annotated function.
#define SLUICE_HOT __attribute__((swift_attr("@_noAllocation"), swift_attr("@_noLocks")))

// Nanoseconds of CLOCK_MONOTONIC (time-outs and schedules) and of CLOCK_REALTIME (signature windows, receive times).
SLUICE_HOT static inline uint64_t sluice_clock_monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
SLUICE_HOT static inline uint64_t sluice_clock_wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#endif
