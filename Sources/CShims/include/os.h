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

// The line of memory at `place` will be read soon; any address will do.
SLUICE_HOT static inline void sluice_prefetch(const void *place) { __builtin_prefetch(place); }

// Page-aligned, zeroed memory whose pages are there already (no fault later); NULL when there is not enough.
void *sluice_memory_map(size_t bytes);
void sluice_memory_unmap(void *memory, size_t bytes);

// What a pool has lent to nobody is withheld: with AddressSanitizer whoever touches it is reported, as with memory of
// the system's. In every other build both do nothing. `memory` is aligned to 8 bytes.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_IS_WATCHED 1
void __asan_poison_memory_region(const volatile void *memory, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *memory, size_t bytes);
#endif
#endif
SLUICE_HOT static inline void sluice_memory_withhold(const void *memory, size_t bytes) {
#ifdef SLUICE_IS_WATCHED
    __asan_poison_memory_region(memory, bytes);
#else
    (void)memory, (void)bytes;
#endif
}
SLUICE_HOT static inline void sluice_memory_lend(const void *memory, size_t bytes) {
#ifdef SLUICE_IS_WATCHED
    __asan_unpoison_memory_region(memory, bytes);
#else
    (void)memory, (void)bytes;
#endif
}

int sluice_close(int fd);
// No more will be sent; the peer reads what was, then the end. Does not wait.
SLUICE_HOT void sluice_shutdown_write(int fd);
// The address at the other end in host order (an IPv4 one in `low`); 4, 6, or 0 when it has none.
SLUICE_HOT int sluice_peer_address(int fd, uint64_t *high, uint64_t *low);

// A bound socket, not yet listening, on `address` (bytes of a sockaddr), with SO_REUSEPORT when `shared`, TCP_NODELAY
// inherited by what it accepts, or -errno. A Unix socket's stale path is the caller's to remove.
int sluice_listen(const void *address, unsigned bytes, int shared);
// From now on connections are taken.
int sluice_listen_start(int fd, int backlog);
// New connections to the listener are refused from now on.
void sluice_listen_stop(int fd);
// 1 when `path` is a socket that nobody listens on.
int sluice_unix_is_stale(const char *path);
int sluice_unix_remove(const char *path);
// The port a listener or socket is bound to, or -errno.
int sluice_local_port(int fd);
// Pins the calling thread's name (15 characters) for top and perf.
void sluice_thread_name(const char *name);
// The calling thread (alone: Linux) gets a processor only after those that answer; niceness 10, which needs no right.
void sluice_thread_yield_more(void);
// The calling thread asks for slices of `nanos`, 100,000 or more: when it wakes up it need not wait until a thread with
// longer ones has had its own (Linux 6.12: sched(7), sched_setattr(2); before that nothing changes). Threads that it
// makes are like it, those of its io_uring among them. 0 or -errno.
int sluice_thread_take_slices(uint64_t nanos);
// Sleeps; for worker threads only.
void sluice_pause_millis(unsigned millis);
// Starts a joinable thread that runs `body(context)`; 0 or -errno.
int sluice_thread_start(void *(*body)(void *), void *context, unsigned long *thread);
void sluice_thread_join(unsigned long thread);
// 16 or more random bytes from the kernel; 0 or -errno.
int sluice_random(void *bytes, size_t count);
#endif
