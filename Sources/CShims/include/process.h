// What this process may use: descriptors, memory. By value, so that callers need no pointer.
#ifndef SLUICE_PROCESS_H
#define SLUICE_PROCESS_H
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>

// The soft limit, or -1 when there is none; `hard` != 0 asks for the hard one.
static inline int64_t sluice_process_limit(int resource, int hard) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return 0;
    rlim_t value = hard ? limit.rlim_max : limit.rlim_cur;
    return value == RLIM_INFINITY ? -1 : (int64_t)value;
}
static inline int64_t sluice_process_files(int hard) { return sluice_process_limit(RLIMIT_NOFILE, hard); }
static inline int64_t sluice_process_locked(int hard) { return sluice_process_limit(RLIMIT_MEMLOCK, hard); }
static inline int64_t sluice_process_addresses(int hard) { return sluice_process_limit(RLIMIT_AS, hard); }
// Raises the soft limit of descriptors to the hard one; returns what holds then.
static inline int64_t sluice_process_raise_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return sluice_process_files(0);
}
// A peer that went away is an error of the call, never a death.
static inline void sluice_process_ignore_broken_pipe(void) { signal(SIGPIPE, SIG_IGN); }
#endif
