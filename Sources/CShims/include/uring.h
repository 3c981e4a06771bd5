// io_uring through liburing: the submissions and completions that the loops use. Each wrapper fills one submission or copies
// completions out; none decides anything. A submission is never missing: when the queue is full it is submitted first.
#ifndef SLUICE_URING_H
#define SLUICE_URING_H
#include <errno.h>
// The kernel's header before liburing's copy of it (same guard): swift-system's module includes the kernel's too, and one
// program may not have two definitions of `io_uring_sqe`.
#include <linux/io_uring.h>
#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "os.h"

// Flags of newer kernels that liburing 2.3 has no name for.
#define SLUICE_RECVSEND_BUNDLE (1u << 4)

typedef struct { uint64_t tag; int32_t result; uint32_t flags; } sluice_completion;

// 0, or -errno. `ring` is zeroed memory of sizeof(struct io_uring).
int sluice_ring_open(struct io_uring *ring, unsigned submissions, unsigned completions);
void sluice_ring_close(struct io_uring *ring);
// Registers a ring of `count` (a power of two) provided buffers of `bytes` each under `group`; the memory stays the caller's.
// `entries` is page-aligned memory of count * 16 bytes. 0, or -errno.
int sluice_ring_register_buffers(struct io_uring *ring, void *entries, unsigned count, unsigned group);

SLUICE_HOT static inline struct io_uring_sqe *sluice_ring_submission(struct io_uring *ring) {
    struct io_uring_sqe *s = io_uring_get_sqe(ring);
    while (__builtin_expect(s == NULL, 0)) {
        io_uring_submit(ring);
        s = io_uring_get_sqe(ring);
    }
    return s;
}
// Makes room for `count` submissions in a row, so that a linked chain is not torn apart by a submit in between.
SLUICE_HOT static inline void sluice_ring_reserve(struct io_uring *ring, unsigned count) {
    while (io_uring_sq_space_left(ring) < count) io_uring_submit(ring);
}
SLUICE_HOT static inline void sluice_submit_accept(struct io_uring *ring, int listener, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_multishot_accept(s, listener, NULL, NULL, SOCK_CLOEXEC);
    s->user_data = tag;
}
SLUICE_HOT static inline void sluice_submit_receive(struct io_uring *ring, int fd, unsigned group, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_recv(s, fd, NULL, 0, 0);
    s->ioprio |= IORING_RECV_MULTISHOT;
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = (uint16_t)group;
    s->user_data = tag;
}
SLUICE_HOT static inline void sluice_submit_send(struct io_uring *ring, int fd, const void *bytes, unsigned count,
                                                 uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_send(s, fd, bytes, count, MSG_NOSIGNAL);
    s->user_data = tag;
}
SLUICE_HOT static inline void sluice_submit_send_message(struct io_uring *ring, int fd, const struct msghdr *message,
                                                         uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_sendmsg(s, fd, message, MSG_NOSIGNAL);
    s->user_data = tag;
}
SLUICE_HOT static inline void sluice_submit_connect(struct io_uring *ring, int fd, const struct sockaddr *address,
                                                    unsigned bytes, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_connect(s, fd, address, bytes);
    s->user_data = tag;
}
// Cancels the request submitted under `target`.
SLUICE_HOT static inline void sluice_submit_cancel(struct io_uring *ring, uint64_t target, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_cancel64(s, target, 0);
    s->user_data = tag;
}
// Cancels everything in flight on `fd`.
SLUICE_HOT static inline void sluice_submit_cancel_all(struct io_uring *ring, int fd, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_cancel_fd(s, fd, IORING_ASYNC_CANCEL_ALL);
    s->user_data = tag;
}
SLUICE_HOT static inline void sluice_submit_close(struct io_uring *ring, int fd, uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_close(s, fd);
    s->user_data = tag;
}
// Reads the 8 bytes of an eventfd into `value`, which stays the kernel's until the completion.
SLUICE_HOT static inline void sluice_submit_read(struct io_uring *ring, int fd, void *bytes, unsigned count, uint64_t offset,
                                                 uint64_t tag) {
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_read(s, fd, bytes, count, offset);
    s->user_data = tag;
}
// One write and, linked behind it, one fdatasync: the sync runs only when the whole write did.
SLUICE_HOT static inline void sluice_submit_write_sync(struct io_uring *ring, int fd, const void *bytes, unsigned count,
                                                       uint64_t offset, uint64_t write_tag, uint64_t sync_tag) {
    sluice_ring_reserve(ring, 2);
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_write(s, fd, bytes, count, offset);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = write_tag;
    s = sluice_ring_submission(ring);
    io_uring_prep_fsync(s, fd, IORING_FSYNC_DATASYNC);
    s->user_data = sync_tag;
}
// Renames inside one directory and syncs the directory, each linked to what follows, which must be submitted right behind.
SLUICE_HOT static inline void sluice_submit_rename_sync(struct io_uring *ring, int directory, const char *from,
                                                        const char *to, uint64_t rename_tag, uint64_t sync_tag) {
    sluice_ring_reserve(ring, 4);
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_renameat(s, directory, from, directory, to, 0);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = rename_tag;
    s = sluice_ring_submission(ring);
    io_uring_prep_fsync(s, directory, 0);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = sync_tag;
}
// Gives buffer `index` back; visible to the kernel after sluice_buffers_publish.
SLUICE_HOT static inline void sluice_buffers_give(void *entries, void *bytes, unsigned size, unsigned index, unsigned count,
                                                  int position) {
    io_uring_buf_ring_add((struct io_uring_buf_ring *)entries, bytes, size, (unsigned short)index, io_uring_buf_ring_mask(count),
                          position);
}
SLUICE_HOT static inline void sluice_buffers_publish(void *entries, int given) {
    io_uring_buf_ring_advance((struct io_uring_buf_ring *)entries, given);
}
// Submits, and waits until at least `count` completions are there or `nanoseconds` are over (0: does not wait). -errno on error.
SLUICE_HOT static inline int sluice_ring_enter(struct io_uring *ring, unsigned count, uint64_t nanoseconds) {
    struct io_uring_cqe *first = NULL;
    struct __kernel_timespec limit = {(long long)(nanoseconds / 1000000000u), (long long)(nanoseconds % 1000000000u)};
    if (count == 0 || nanoseconds == 0) return io_uring_submit_and_get_events(ring);
    return io_uring_submit_and_wait_timeout(ring, &first, count, &limit, NULL);
}
// Copies up to `room` completions out and gives their places back. Returns how many.
SLUICE_HOT static inline unsigned sluice_ring_reap(struct io_uring *ring, sluice_completion *out, unsigned room) {
    struct io_uring_cqe *c;
    unsigned head, taken = 0;
    io_uring_for_each_cqe(ring, head, c) {
        if (taken == room) break;
        out[taken].tag = c->user_data;
        out[taken].result = c->res;
        out[taken].flags = c->flags;
        taken++;
    }
    io_uring_cq_advance(ring, taken);
    return taken;
}
// True when completions wait in the kernel because the completion queue was full.
SLUICE_HOT static inline int sluice_ring_overflowed(struct io_uring *ring) { return io_uring_cq_has_overflow(ring); }
SLUICE_HOT static inline int sluice_completion_has_buffer(uint32_t flags) { return (flags & IORING_CQE_F_BUFFER) != 0; }
SLUICE_HOT static inline int sluice_completion_has_more(uint32_t flags) { return (flags & IORING_CQE_F_MORE) != 0; }
SLUICE_HOT static inline unsigned sluice_completion_buffer(uint32_t flags) { return flags >> IORING_CQE_BUFFER_SHIFT; }
#endif
