#include "uring.h"
#include <string.h>

int sluice_ring_open(struct io_uring *ring, unsigned submissions, unsigned completions) {
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    // One thread submits, and completions run when that thread asks for them: no interrupt of the loop, no lock in the kernel.
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
              IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
    p.cq_entries = completions;
    int r = io_uring_queue_init_params(submissions, ring, &p);
    if (r < 0) return r;
    // Registering the ring's descriptor saves its look-up at each enter; not having it costs only that.
    (void)io_uring_register_ring_fd(ring);
    return 0;
}
void sluice_ring_close(struct io_uring *ring) { io_uring_queue_exit(ring); }
int sluice_ring_register_buffers(struct io_uring *ring, void *entries, unsigned count, unsigned group) {
    struct io_uring_buf_reg reg;
    memset(&reg, 0, sizeof reg);
    reg.ring_addr = (uint64_t)(uintptr_t)entries;
    reg.ring_entries = count;
    reg.bgid = (uint16_t)group;
    int r = io_uring_register_buf_ring(ring, &reg, 0);
    if (r < 0) return r;
    io_uring_buf_ring_init((struct io_uring_buf_ring *)entries);
    return 0;
}
