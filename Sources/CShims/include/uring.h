// io_uring through liburing: the submissions and completions that the loops use. Each wrapper fills one submission or
// copies completions out; none decides anything. A submission is never missing: when the queue is full it is
// submitted first.
#ifndef SLUICE_URING_H
#define SLUICE_URING_H
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "os.h"

// Opaque on purpose: swift-system brings its own copy of the kernel's structures, and a module that sees both does
// not compile.
typedef struct sluice_ring sluice_ring;

typedef struct { uint64_t tag; int32_t result; uint32_t flags; } sluice_completion;

// 0 and the ring, or -errno.
int sluice_ring_open(unsigned submissions, unsigned completions, sluice_ring **ring);
void sluice_ring_close(sluice_ring *ring);
// An eventfd of the ring's own, which says while sluice_ring_listen holds that there is something to do for it. 0, or
// -errno; once.
int sluice_ring_make_event(sluice_ring *ring);
SLUICE_HOT int sluice_ring_event(const sluice_ring *ring);
// Registers a ring of `count` (a power of two) provided buffers of `bytes` each under `group`; the memory stays
// the caller's.
// `entries` is page-aligned memory of count * 16 bytes. 0, or -errno.
int sluice_ring_register_buffers(sluice_ring *ring, void *entries, unsigned count, unsigned group);

SLUICE_HOT void sluice_submit_accept(sluice_ring *ring, int listener, uint64_t tag);
SLUICE_HOT void sluice_submit_receive(sluice_ring *ring, int fd, unsigned group, uint64_t tag);
// Completes once, when bytes or the peer's end can be read; takes nothing.
SLUICE_HOT void sluice_submit_poll(sluice_ring *ring, int fd, uint64_t tag);
SLUICE_HOT void sluice_submit_send(sluice_ring *ring, int fd, const void *bytes, unsigned count, uint64_t tag);
SLUICE_HOT void sluice_submit_send_message(sluice_ring *ring, int fd, const struct msghdr *message, uint64_t tag);
SLUICE_HOT void sluice_submit_connect(sluice_ring *ring, int fd, const struct sockaddr *address,
    unsigned bytes, uint64_t tag);
// Cancels the request submitted under `target`.
SLUICE_HOT void sluice_submit_cancel(sluice_ring *ring, uint64_t target, uint64_t tag);
// Cancels everything in flight on `fd`.
SLUICE_HOT void sluice_submit_cancel_all(sluice_ring *ring, int fd, uint64_t tag);
SLUICE_HOT void sluice_submit_close(sluice_ring *ring, int fd, uint64_t tag);
// Reads the 8 bytes of an eventfd into `value`, which stays the kernel's until the completion.
SLUICE_HOT void sluice_submit_read(sluice_ring *ring, int fd, void *bytes, unsigned count, uint64_t offset,
    uint64_t tag);
// One write and, linked behind it, one fdatasync: the sync runs only when the whole write did.
SLUICE_HOT void sluice_submit_write_sync(sluice_ring *ring, int fd, const void *bytes, unsigned count,
    uint64_t offset, uint64_t write_tag, uint64_t sync_tag);
// One write that completes when what it wrote is on disk (RWF_DSYNC). Any error may be the sync's.
SLUICE_HOT void sluice_submit_write_durable(sluice_ring *ring, int fd, const void *bytes, unsigned count,
    uint64_t offset, uint64_t tag);
// Renames inside one directory and syncs the directory, each linked to what follows, which must be submitted right
// behind.
SLUICE_HOT void sluice_submit_rename_sync(sluice_ring *ring, int directory, const char *from, const char *to,
    uint64_t rename_tag, uint64_t sync_tag);
// Gives buffer `index` back; visible to the kernel after sluice_buffers_publish.
SLUICE_HOT void sluice_buffers_give(void *entries, void *bytes, unsigned size, unsigned index, unsigned count,
    int position);
SLUICE_HOT void sluice_buffers_publish(void *entries, int given);
// Submits, and waits until at least `count` completions are there or `nanoseconds` are over (0: does not wait).
// -errno on error.
SLUICE_HOT int sluice_ring_enter(sluice_ring *ring, unsigned count, uint64_t nanoseconds);
// Copies up to `room` completions out and gives their places back. Returns how many.
SLUICE_HOT unsigned sluice_ring_reap(sluice_ring *ring, sluice_completion *out, unsigned room);

// Completions are there, or work that brings some. A look at shared memory.
SLUICE_HOT int sluice_ring_has_work(sluice_ring *ring);
// Hands over what is queued, if anything is; runs no completion.
SLUICE_HOT void sluice_ring_submit(sluice_ring *ring);
// From now on the eventfd says what comes; whether there is something already.
SLUICE_HOT int sluice_ring_listen(sluice_ring *ring);
SLUICE_HOT void sluice_ring_listen_no_more(sluice_ring *ring);

// A completion's flags.
enum { SLUICE_COMPLETION_BUFFER = 1, SLUICE_COMPLETION_MORE = 2, SLUICE_COMPLETION_BUFFER_SHIFT = 16 };
SLUICE_HOT static inline int sluice_completion_has_buffer(uint32_t flags) {
    return (flags & SLUICE_COMPLETION_BUFFER) != 0;
}
SLUICE_HOT static inline int sluice_completion_has_more(uint32_t flags) {
    return (flags & SLUICE_COMPLETION_MORE) != 0;
}
SLUICE_HOT static inline unsigned sluice_completion_buffer(uint32_t flags) {
    return flags >> SLUICE_COMPLETION_BUFFER_SHIFT;
}
#endif
