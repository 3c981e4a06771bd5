// The body of limit_probe.h. One file with its own ring, because a yardstick that shared code with what it measures
// would get faster or slower with it.
//
// Invariants: one commit is in flight; requests that come meanwhile fill the other batch; an answer of durable work is
// sent after the sync of its batch. A head must come whole within one receive (4 KiB), as load generators send it;
// whoever does otherwise is disconnected. A descriptor that closed while its answer waited is known by its generation.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include "limit_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_COUNT = 4096,
    BUFFER_BYTES = 4096,
    BUFFER_GROUP = 0,
    CONNECTION_COUNT = 16384,
    BATCH_BYTES = 32 << 20,
    // What a group takes in one write, so that no batch makes everybody wait for long.
    FILE_BYTES = 128 << 20,
    BLOCK_BYTES = 4096,
};
enum { KIND_ACCEPT = 1, KIND_RECEIVE, KIND_SEND, KIND_WRITE, KIND_SYNC };

static const char answer_text[] = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
#define ANSWER_BYTES (sizeof answer_text - 1)
// One send carries as many answers as a pipelining client is owed.
#define ANSWERS_MAX 64

struct connection {
    SHA256_CTX digest;
    uint64_t body_left;
    uint32_t generation;
};
struct owed {
    int fd;
    uint32_t generation;
};
struct batch {
    char *bytes;
    size_t length;
    struct owed *owed;
    unsigned count;
};
struct sluice_limit_probe {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
    struct connection *connections;
    struct batch batches[2];
    int filling;
    bool is_committing;
    int listener;
    int file;
    uint64_t file_offset;
    enum sluice_probe_work work;
    SHA256_CTX inner, outer;
    char answers[ANSWERS_MAX * ANSWER_BYTES];
    volatile unsigned char digests_used;
};

static uint64_t tag_of(int kind, int fd, uint32_t generation) {
    return (uint64_t)generation << 32 | (uint64_t)(unsigned)fd << 4 | (unsigned)kind;
}
static struct io_uring_sqe *next_entry(sluice_limit_probe *probe) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&probe->ring);
    while (entry == NULL) {
        io_uring_submit(&probe->ring);
        entry = io_uring_get_sqe(&probe->ring);
    }
    return entry;
}
static void arm_receive(sluice_limit_probe *probe, int fd) {
    struct io_uring_sqe *entry = next_entry(probe);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = BUFFER_GROUP;
    entry->user_data = tag_of(KIND_RECEIVE, fd, probe->connections[fd].generation);
}
static void send_answers(sluice_limit_probe *probe, int fd, unsigned count) {
    while (count > 0) {
        const unsigned now = count < ANSWERS_MAX ? count : ANSWERS_MAX;
        struct io_uring_sqe *entry = next_entry(probe);
        io_uring_prep_send(entry, fd, probe->answers, now * ANSWER_BYTES, MSG_NOSIGNAL);
        entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
        entry->user_data = tag_of(KIND_SEND, fd, 0);
        count -= now;
    }
}
static void disconnect(sluice_limit_probe *probe, int fd) {
    probe->connections[fd].generation++;
    close(fd);
}

static void digest_finish(sluice_limit_probe *probe, struct connection *connection) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &connection->digest);
    SHA256_CTX outer = probe->outer;
    SHA256_Update(&outer, digest, sizeof digest);
    SHA256_Final(digest, &outer);
    probe->digests_used ^= digest[0];
}

// Takes what one receive brought; the requests that it completes, or -1 when it is nothing that this probe takes.
static int take(sluice_limit_probe *probe, struct connection *connection, const char *bytes, size_t count) {
    const bool digests = probe->work != SLUICE_PROBE_ANSWER;
    int completed = 0;
    while (count > 0) {
        if (connection->body_left == 0) {
            const char *end = memmem(bytes, count, "\r\n\r\n", 4);
            if (end == NULL) return -1;
            const size_t head = (size_t)(end + 4 - bytes);
            const char *field = memmem(bytes, head, "ontent-", 7);
            while (field != NULL && strncasecmp(field + 7, "length: ", 8) != 0) {
                const size_t past = (size_t)(field + 7 - bytes);
                field = memmem(field + 7, head - past, "ontent-", 7);
            }
            connection->body_left = field == NULL ? 0 : strtoull(field + 15, NULL, 10);
            if (digests) connection->digest = probe->inner;
            bytes += head, count -= head;
        }
        const size_t piece = count < connection->body_left ? count : (size_t)connection->body_left;
        if (digests && piece > 0) SHA256_Update(&connection->digest, bytes, piece);
        connection->body_left -= piece;
        bytes += piece, count -= piece;
        if (connection->body_left > 0) break;
        if (digests) digest_finish(probe, connection);
        completed++;
    }
    return completed;
}

// Appends to the batch being filled; false when there is no room.
static bool keep(sluice_limit_probe *probe, int fd, const char *bytes, size_t count, int completed) {
    struct batch *batch = &probe->batches[probe->filling];
    const size_t room = (count + 7) & ~(size_t)7;
    if (batch->length + room > BATCH_BYTES || batch->count + (unsigned)completed > CONNECTION_COUNT) return false;
    memcpy(batch->bytes + batch->length, bytes, count);
    batch->length += room;
    for (int i = 0; i < completed; i++) {
        batch->owed[batch->count++] = (struct owed){fd, probe->connections[fd].generation};
    }
    return true;
}
static void begin_commit(sluice_limit_probe *probe) {
    struct batch *batch = &probe->batches[probe->filling];
    if (probe->is_committing || batch->count == 0) return;
    const size_t bytes = (batch->length + BLOCK_BYTES - 1) & ~(size_t)(BLOCK_BYTES - 1);
    if (probe->file_offset + bytes > FILE_BYTES) probe->file_offset = 0;
    // A link must not be torn apart by a full queue.
    while (io_uring_sq_space_left(&probe->ring) < 2) io_uring_submit(&probe->ring);
    struct io_uring_sqe *entry = next_entry(probe);
    io_uring_prep_write(entry, probe->file, batch->bytes, (unsigned)bytes, probe->file_offset);
    entry->flags |= IOSQE_IO_LINK;
    entry->user_data = tag_of(KIND_WRITE, 0, 0);
    entry = next_entry(probe);
    io_uring_prep_fsync(entry, probe->file, IORING_FSYNC_DATASYNC);
    entry->user_data = tag_of(KIND_SYNC, probe->filling, 0);
    probe->file_offset += bytes;
    probe->is_committing = true;
    probe->filling ^= 1;
}
static void end_commit(sluice_limit_probe *probe, int index) {
    struct batch *batch = &probe->batches[index];
    for (unsigned i = 0; i < batch->count;) {
        const struct owed owed = batch->owed[i];
        unsigned same = 1;
        while (i + same < batch->count && batch->owed[i + same].fd == owed.fd) same++;
        if (probe->connections[owed.fd].generation == owed.generation) send_answers(probe, owed.fd, same);
        i += same;
    }
    batch->count = 0;
    batch->length = 0;
    probe->is_committing = false;
}

static void accepted(sluice_limit_probe *probe, int fd) {
    const int one = 1;
    if (fd >= CONNECTION_COUNT) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    probe->connections[fd].body_left = 0;
    arm_receive(probe, fd);
}
static void received(sluice_limit_probe *probe, const struct io_uring_cqe *completion) {
    const int fd = (int)(completion->user_data >> 4 & 0xfffffff);
    struct connection *connection = &probe->connections[fd];
    const bool is_current = connection->generation == (uint32_t)(completion->user_data >> 32);
    if (completion->flags & IORING_CQE_F_BUFFER) {
        const unsigned index = completion->flags >> IORING_CQE_BUFFER_SHIFT;
        char *bytes = probe->memory + (size_t)index * BUFFER_BYTES;
        if (is_current && completion->res > 0) {
            const int completed = take(probe, connection, bytes, (size_t)completion->res);
            const bool is_durable = probe->work == SLUICE_PROBE_DURABLE;
            if (completed < 0) disconnect(probe, fd);
            else if (!is_durable) send_answers(probe, fd, (unsigned)completed);
            else if (!keep(probe, fd, bytes, (size_t)completion->res, completed)) disconnect(probe, fd);
        }
        io_uring_buf_ring_add(probe->buffers, bytes, BUFFER_BYTES, (unsigned short)index,
                              io_uring_buf_ring_mask(BUFFER_COUNT), 0);
        io_uring_buf_ring_advance(probe->buffers, 1);
    }
    if (!is_current || connection->generation != (uint32_t)(completion->user_data >> 32)) return;
    if (completion->res <= 0 && completion->res != -ENOBUFS) disconnect(probe, fd);
    else if (!(completion->flags & IORING_CQE_F_MORE)) arm_receive(probe, fd);
}

static int open_file(sluice_limit_probe *probe, int folder) {
    probe->file = openat(folder, ".", O_TMPFILE | O_RDWR, 0600);
    if (probe->file < 0) return -errno;
    // Written once, so that a commit changes no metadata, as in a prepared segment.
    memset(probe->batches[0].bytes, 0, 1 << 20);
    for (int i = 0; i < FILE_BYTES >> 20; i++) {
        if (pwrite(probe->file, probe->batches[0].bytes, 1 << 20, (off_t)i << 20) != 1 << 20) return -errno;
    }
    return fsync(probe->file) == 0 ? 0 : -errno;
}
static int open_ring(sluice_limit_probe *probe) {
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 4 * CONNECTION_COUNT;
    int result = io_uring_queue_init_params(8192, &probe->ring, &parameters);
    if (result < 0) return result;
    (void)io_uring_register_ring_fd(&probe->ring);
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)probe->buffers;
    registration.ring_entries = BUFFER_COUNT;
    registration.bgid = BUFFER_GROUP;
    result = io_uring_register_buf_ring(&probe->ring, &registration, 0);
    if (result < 0) return result;
    io_uring_buf_ring_init(probe->buffers);
    for (unsigned i = 0; i < BUFFER_COUNT; i++) {
        io_uring_buf_ring_add(probe->buffers, probe->memory + (size_t)i * BUFFER_BYTES, BUFFER_BYTES,
                              (unsigned short)i, io_uring_buf_ring_mask(BUFFER_COUNT), (int)i);
    }
    io_uring_buf_ring_advance(probe->buffers, BUFFER_COUNT);
    return 0;
}

int sluice_limit_probe_open(int listener, int folder, enum sluice_probe_work work, sluice_limit_probe **made) {
    // Never freed: a probe lives as long as its process.
    sluice_limit_probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) return -ENOMEM;
    probe->listener = listener;
    probe->work = work;
    probe->file = -1;
    probe->buffers = aligned_alloc(BLOCK_BYTES, BUFFER_COUNT * sizeof(struct io_uring_buf));
    probe->memory = aligned_alloc(BLOCK_BYTES, (size_t)BUFFER_COUNT * BUFFER_BYTES);
    probe->connections = calloc(CONNECTION_COUNT, sizeof *probe->connections);
    if (probe->buffers == NULL || probe->memory == NULL || probe->connections == NULL) return -ENOMEM;
    for (int i = 0; i < ANSWERS_MAX; i++) memcpy(probe->answers + (size_t)i * ANSWER_BYTES, answer_text, ANSWER_BYTES);
    unsigned char pad[SHA256_CBLOCK];
    memset(pad, 0x36, sizeof pad);
    SHA256_Init(&probe->inner);
    SHA256_Update(&probe->inner, pad, sizeof pad);
    memset(pad, 0x5c, sizeof pad);
    SHA256_Init(&probe->outer);
    SHA256_Update(&probe->outer, pad, sizeof pad);
    if (work == SLUICE_PROBE_DURABLE) {
        for (int i = 0; i < 2; i++) {
            probe->batches[i].bytes = aligned_alloc(BLOCK_BYTES, BATCH_BYTES);
            probe->batches[i].owed = calloc(CONNECTION_COUNT, sizeof *probe->batches[i].owed);
            if (probe->batches[i].bytes == NULL || probe->batches[i].owed == NULL) return -ENOMEM;
        }
        const int result = open_file(probe, folder);
        if (result < 0) return result;
    }
    const int result = open_ring(probe);
    if (result < 0) return result;
    *made = probe;
    return 0;
}

int sluice_limit_probe_serve(sluice_limit_probe *probe) {
    if (listen(probe->listener, 4096) != 0) return -errno;
    struct io_uring_sqe *entry = next_entry(probe);
    io_uring_prep_multishot_accept(entry, probe->listener, NULL, NULL, SOCK_CLOEXEC);
    entry->user_data = tag_of(KIND_ACCEPT, 0, 0);
    for (;;) {
        const int result = io_uring_submit_and_wait(&probe->ring, 1);
        if (result < 0 && result != -EINTR) return result;
        struct io_uring_cqe *completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&probe->ring, head, completion) {
            seen++;
            switch (completion->user_data & 15) {
            case KIND_ACCEPT:
                if (completion->res >= 0) accepted(probe, completion->res);
                break;
            case KIND_RECEIVE: received(probe, completion); break;
            // A yardstick without its disk measures nothing.
            case KIND_WRITE:
                if (completion->res < 0) return completion->res;
                break;
            case KIND_SYNC:
                if (completion->res < 0) return completion->res;
                end_commit(probe, (int)(completion->user_data >> 4));
                break;
            default: break;
            }
        }
        io_uring_cq_advance(&probe->ring, seen);
        if (probe->work == SLUICE_PROBE_DURABLE) begin_commit(probe);
    }
}
