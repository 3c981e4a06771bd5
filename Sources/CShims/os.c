#include "os.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

void *sluice_memory_map(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}
void sluice_memory_unmap(void *memory, size_t bytes) { munmap(memory, bytes); }

void sluice_shutdown_write(int fd) { shutdown(fd, SHUT_WR); }
int sluice_peer_address(int fd, uint64_t *high, uint64_t *low) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &bytes) < 0) return 0;
    if (address.ss_family == AF_INET) {
        *low = ntohl(((struct sockaddr_in *)&address)->sin_addr.s_addr);
        return 4;
    }
    if (address.ss_family != AF_INET6) return 0;
    const uint8_t *b = ((struct sockaddr_in6 *)&address)->sin6_addr.s6_addr;
    *high = *low = 0;
    for (int i = 0; i < 8; i++) {
        *high = *high << 8 | b[i];
        *low = *low << 8 | b[i + 8];
    }
    return 6;
}
int sluice_close(int fd) { return close(fd) < 0 ? -errno : 0; }

int sluice_listen(const void *address, unsigned bytes, int shared) {
    const struct sockaddr *a = address;
    int one = 1, fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int failed = 0;
    if (a->sa_family != AF_UNIX) {
        failed |= setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (shared) failed |= setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
        failed |= setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (a->sa_family == AF_INET6) failed |= setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (failed || bind(fd, a, bytes) < 0) {
        int e = errno;
        close(fd);
        return -e;
    }
    return fd;
}
int sluice_listen_start(int fd, int backlog) { return listen(fd, backlog) < 0 ? -errno : 0; }
void sluice_listen_stop(int fd) { shutdown(fd, SHUT_RDWR); }
int sluice_unix_is_stale(const char *path) {
    struct stat status;
    if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode)) return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return 0;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int refused = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}
int sluice_unix_remove(const char *path) { return unlink(path) < 0 ? -errno : 0; }
int sluice_local_port(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0) return -errno;
    if (a.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&a)->sin_port);
    if (a.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    return 0;
}
void sluice_thread_name(const char *name) { prctl(PR_SET_NAME, name); }
void sluice_thread_yield_more(void) { setpriority(PRIO_PROCESS, 0, 10); }
int sluice_thread_take_slices(uint64_t nanos) {
    // As sched_setattr(2) has it; the C library has no name for it everywhere.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0) return -errno;
    attributes.runtime = nanos;
    return syscall(SYS_sched_setattr, 0, &attributes, 0) < 0 ? -errno : 0;
}
int sluice_thread_start(void *(*body)(void *), void *context, unsigned long *thread) {
    pthread_t t;
    int r = pthread_create(&t, NULL, body, context);
    if (r) return -r;
    *thread = (unsigned long)t;
    return 0;
}
void sluice_pause_millis(unsigned millis) {
    struct timespec t = {millis / 1000, (long)(millis % 1000) * 1000000};
    nanosleep(&t, NULL);
}
void sluice_thread_join(unsigned long thread) { pthread_join((pthread_t)thread, NULL); }
int sluice_random(void *bytes, size_t count) {
    unsigned char *at = bytes;
    while (count) {
        ssize_t r = getrandom(at, count, 0);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -errno;
        at += r;
        count -= (size_t)r;
    }
    return 0;
}
