// What the rings and the egress loop ask of the system: a wake-up descriptor between two threads, and outbound sockets.
// Thin wrappers; errors come back as -errno.
#ifndef SLUICE_EGRESS_H
#define SLUICE_EGRESS_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "os.h"

// memmove, by a name that says it neither allocates nor locks; `UnsafeMutablePointer.update` is not known to.
SLUICE_HOT static inline void sluice_bytes_move(void *target, const void *source, size_t count) {
    memmove(target, source, count);
}

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

// A blocking stream socket (io_uring would answer EAGAIN for a non-blocking one), or -errno.
SLUICE_HOT static inline int sluice_outbound_socket(int family) {
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (descriptor < 0) return -errno;
    // Head and body leave in one message, so nothing is gained by waiting for more.
    if (family != AF_UNIX) (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return descriptor;
}
// Sends what the socket has room for and forgets the rest: for last words.
SLUICE_HOT static inline void sluice_send_now(int descriptor, const void *bytes, size_t count) {
    (void)!send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}
// Both write a socket address into 128 zeroed bytes and return its length, 0 when the text is none.
static inline int sluice_address_parse(const char *text, uint16_t port, void *memory) {
    struct sockaddr_in *four = memory;
    struct sockaddr_in6 *six = memory;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return (int)sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        return (int)sizeof *six;
    }
    return 0;
}
// The interface of a link-local address; nothing where the family has none.
static inline void sluice_address_set_scope(void *memory, uint32_t scope) {
    struct sockaddr_in6 *six = memory;
    if (six->sin6_family == AF_INET6) six->sin6_scope_id = scope;
}
static inline int sluice_address_unix(const char *path, void *memory) {
    struct sockaddr_un *address = memory;
    size_t count = strlen(path);
    if (count == 0 || count >= sizeof address->sun_path) return 0;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, count + 1);
    return (int)(offsetof(struct sockaddr_un, sun_path) + count + 1);
}
#endif
