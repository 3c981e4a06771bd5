// What the rings and the egress loop ask of the system: a wake-up descriptor between two threads, and outbound sockets.
// Thin wrappers; errors come back as -errno.
#ifndef SLUICE_EGRESS_H
#define SLUICE_EGRESS_H
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "os.h"

// A blocking eventfd: io_uring polls it, and a plain thread polls before it reads, so neither ever blocks in the read.
static inline int sluice_wakeup_open(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}
SLUICE_HOT static inline void sluice_wakeup_signal(int descriptor) {
    uint64_t one = 1;
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {}
}
// True when the descriptor was readable within the time; its count is then back at zero.
SLUICE_HOT static inline _Bool sluice_wakeup_wait(int descriptor, int timeout_millis) {
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    if (poll(&entry, 1, timeout_millis) <= 0) return 0;
    uint64_t count;
    return read(descriptor, &count, sizeof count) == (ssize_t)sizeof count;
}
static inline void sluice_wakeup_close(int descriptor) { close(descriptor); }
#endif
