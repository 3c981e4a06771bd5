// Name resolution. `getaddrinfo` blocks and allocates, so it belongs on worker threads only, never in a loop.
#ifndef SLUICE_NET_H
#define SLUICE_NET_H
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

// One address: family 4 or 6, the address bytes in network order (4 or 16 of them), the scope of a link-local one.
typedef struct {
    uint8_t bytes[16];
    uint32_t scope;
    uint8_t family;
} sluice_address;

// Writes at most `room` TCP addresses of `host` to `found`. Returns how many, or the negated EAI_ code as -1000 - code.
static inline int sluice_resolve(const char *host, sluice_address *found, int room) {
    struct addrinfo hints, *list = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error != 0) return -1000 - (error < 0 ? -error : error);
    int count = 0;
    for (const struct addrinfo *one = list; one != NULL && count < room; one = one->ai_next) {
        sluice_address *target = &found[count];
        memset(target, 0, sizeof *target);
        if (one->ai_family == AF_INET) {
            const struct sockaddr_in *inet = (const struct sockaddr_in *)(const void *)one->ai_addr;
            memcpy(target->bytes, &inet->sin_addr, 4);
            target->family = 4;
        } else if (one->ai_family == AF_INET6) {
            const struct sockaddr_in6 *inet = (const struct sockaddr_in6 *)(const void *)one->ai_addr;
            memcpy(target->bytes, &inet->sin6_addr, 16);
            target->scope = inet->sin6_scope_id;
            target->family = 6;
        } else {
            continue;
        }
        count++;
    }
    freeaddrinfo(list);
    return count;
}

// The text of the code that sluice_resolve returned.
static inline const char *sluice_resolve_error(int code) { return gai_strerror(1000 + code); }
#endif
