#include "uring.h"
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

// `event`: -1 = none.
struct sluice_ring { struct io_uring ring; int event; };

int sluice_ring_open(unsigned submissions, unsigned completions, sluice_ring **ring) {
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    // One thread submits, and completions run when that thread asks for them: no interrupt of the loop, no lock in the
    // kernel.
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
              IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG;
    p.cq_entries = completions;
    sluice_ring *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->event = -1;
    int r = io_uring_queue_init_params(submissions, &made->ring, &p);
    if (r < 0) {
        free(made);
        return r;
    }
    // Registering the ring's descriptor saves its look-up at each enter; not having it costs only that.
    (void)io_uring_register_ring_fd(&made->ring);
    *ring = made;
    return 0;
}
void sluice_ring_close(sluice_ring *ring) {
    io_uring_queue_exit(&ring->ring);
    if (ring->event >= 0) close(ring->event);
    free(ring);
}
int sluice_ring_make_event(sluice_ring *ring) {
    int event = eventfd(0, EFD_CLOEXEC);
    if (event < 0) return -errno;
    int r = io_uring_register_eventfd(&ring->ring, event);
    if (r >= 0) r = io_uring_cq_eventfd_toggle(&ring->ring, false);
    if (r < 0) {
        close(event);
        return r;
    }
    ring->event = event;
    return 0;
}
int sluice_ring_event(const sluice_ring *ring) { return ring->event; }
int sluice_ring_register_buffers(sluice_ring *ring, void *entries, unsigned count, unsigned group) {
    struct io_uring_buf_reg reg;
    memset(&reg, 0, sizeof reg);
    reg.ring_addr = (uint64_t)(uintptr_t)entries;
    reg.ring_entries = count;
    reg.bgid = (uint16_t)group;
    int r = io_uring_register_buf_ring(&ring->ring, &reg, 0);
    if (r < 0) return r;
    io_uring_buf_ring_init((struct io_uring_buf_ring *)entries);
    return 0;
}
// The queue is full: hands it over and lets completions run. What the kernel cannot take now it takes later; any other
// error would stay for ever, and a loop that spins on it answers nobody and says nothing.
static void make_room(struct io_uring *ring) {
    int r = io_uring_submit_and_get_events(ring);
    if (r >= 0 || r == -EAGAIN || r == -EBUSY || r == -EINTR || r == -ENOMEM) return;
    fprintf(stderr, "sluice: io_uring refuses submissions: %s\n", strerror(-r));
    abort();
}
static inline struct io_uring_sqe *sluice_ring_submission(struct io_uring *ring) {
    struct io_uring_sqe *s = io_uring_get_sqe(ring);
    while (__builtin_expect(s == NULL, 0)) {
        make_room(ring);
        s = io_uring_get_sqe(ring);
    }
    return s;
}
static inline void reserve(struct io_uring *ring, unsigned count) {
    while (io_uring_sq_space_left(ring) < count) make_room(ring);
}
void sluice_submit_accept(sluice_ring *outer, int listener, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_multishot_accept(s, listener, NULL, NULL, SOCK_CLOEXEC);
    s->user_data = tag;
}
void sluice_submit_receive(sluice_ring *outer, int fd, unsigned group, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_recv(s, fd, NULL, 0, 0);
    s->ioprio |= IORING_RECV_MULTISHOT;
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = (uint16_t)group;
    s->user_data = tag;
}
void sluice_submit_poll(sluice_ring *outer, int fd, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_poll_add(s, fd, POLLIN);
    s->user_data = tag;
}
void sluice_submit_send(sluice_ring *outer, int fd, const void *bytes, unsigned count, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_send(s, fd, bytes, count, MSG_NOSIGNAL);
    s->user_data = tag;
}
void sluice_submit_send_message(sluice_ring *outer, int fd, const struct msghdr *message, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_sendmsg(s, fd, message, MSG_NOSIGNAL);
    s->user_data = tag;
}
void sluice_submit_connect(sluice_ring *outer, int fd, const struct sockaddr *address, unsigned bytes,
    uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_connect(s, fd, address, bytes);
    s->user_data = tag;
}
void sluice_submit_cancel(sluice_ring *outer, uint64_t target, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_cancel64(s, target, 0);
    s->user_data = tag;
}
void sluice_submit_cancel_all(sluice_ring *outer, int fd, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_cancel_fd(s, fd, IORING_ASYNC_CANCEL_ALL);
    s->user_data = tag;
}
void sluice_submit_close(sluice_ring *outer, int fd, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_close(s, fd);
    s->user_data = tag;
}
void sluice_submit_read(sluice_ring *outer, int fd, void *bytes, unsigned count, uint64_t offset, uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_read(s, fd, bytes, count, offset);
    s->user_data = tag;
}
void sluice_submit_write_sync(sluice_ring *outer, int fd, const void *bytes, unsigned count, uint64_t offset,
    uint64_t write_tag, uint64_t sync_tag) {
    struct io_uring *ring = &outer->ring;
    reserve(ring, 2);
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_write(s, fd, bytes, count, offset);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = write_tag;
    s = sluice_ring_submission(ring);
    io_uring_prep_fsync(s, fd, IORING_FSYNC_DATASYNC);
    s->user_data = sync_tag;
}
void sluice_submit_write_durable(sluice_ring *outer, int fd, const void *bytes, unsigned count, uint64_t offset,
    uint64_t tag) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_write(s, fd, bytes, count, offset);
    s->rw_flags = RWF_DSYNC;
    s->user_data = tag;
}
void sluice_submit_rename_sync(sluice_ring *outer, int directory, const char *from, const char *to,
    uint64_t rename_tag, uint64_t sync_tag) {
    struct io_uring *ring = &outer->ring;
    reserve(ring, 4);
    struct io_uring_sqe *s = sluice_ring_submission(ring);
    io_uring_prep_renameat(s, directory, from, directory, to, 0);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = rename_tag;
    s = sluice_ring_submission(ring);
    io_uring_prep_fsync(s, directory, 0);
    s->flags |= IOSQE_IO_LINK;
    s->user_data = sync_tag;
}
void sluice_buffers_give(void *entries, void *bytes, unsigned size, unsigned index, unsigned count, int position) {
    io_uring_buf_ring_add((struct io_uring_buf_ring *)entries, bytes, size, (unsigned short)index,
    io_uring_buf_ring_mask(count),
                          position);
}
void sluice_buffers_publish(void *entries, int given) {
    io_uring_buf_ring_advance((struct io_uring_buf_ring *)entries, given);
}
int sluice_ring_enter(sluice_ring *outer, unsigned count, uint64_t nanoseconds) {
    struct io_uring *ring = &outer->ring;
    struct io_uring_cqe *first = NULL;
    struct __kernel_timespec limit = {(long long)(nanoseconds / 1000000000u),
    (long long)(nanoseconds % 1000000000u)};
    if (count == 0 || nanoseconds == 0) return io_uring_submit_and_get_events(ring);
    return io_uring_submit_and_wait_timeout(ring, &first, count, &limit, NULL);
}
int sluice_ring_has_work(sluice_ring *outer) {
    struct io_uring *ring = &outer->ring;
    const unsigned flags = __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 || io_uring_cq_ready(ring) > 0;
}
void sluice_ring_submit(sluice_ring *outer) {
    struct io_uring *ring = &outer->ring;
    // What the kernel does not take now stays queued, for the next time.
    if (io_uring_sq_ready(ring) > 0) (void)io_uring_submit(ring);
}
int sluice_ring_listen(sluice_ring *outer) {
    (void)io_uring_cq_eventfd_toggle(&outer->ring, true);
    // The kernel sets its flag and then looks whether anybody listens; here it is the other way round.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return sluice_ring_has_work(outer);
}
void sluice_ring_listen_no_more(sluice_ring *outer) { (void)io_uring_cq_eventfd_toggle(&outer->ring, false); }
unsigned sluice_ring_reap(sluice_ring *outer, sluice_completion *out, unsigned room) {
    struct io_uring *ring = &outer->ring;
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
_Static_assert(SLUICE_COMPLETION_BUFFER == IORING_CQE_F_BUFFER, "the kernel's flag");
_Static_assert(SLUICE_COMPLETION_MORE == IORING_CQE_F_MORE, "the kernel's flag");
_Static_assert(SLUICE_COMPLETION_BUFFER_SHIFT == IORING_CQE_BUFFER_SHIFT, "the kernel's shift");
