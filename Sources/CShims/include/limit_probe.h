// The limit probe: the least that a server on io_uring can do for one webhook, on one thread. The yardstick of the
// benchmark gate, and no server: it frames by Content-Length, verifies nothing, keeps nothing for anybody to read.
#ifndef SLUICE_LIMIT_PROBE_H
#define SLUICE_LIMIT_PROBE_H
#include <stdint.h>

enum sluice_probe_work {
    SLUICE_PROBE_ANSWER = 0,  // 202 for each request
    SLUICE_PROBE_HMAC = 1,    // the same, after HMAC-SHA256 of the body
    SLUICE_PROBE_DURABLE = 2, // the same, and the answer leaves when request and fdatasync are done, in group commits
};

typedef struct sluice_limit_probe sluice_limit_probe;

// `listener` is bound and not yet listening; `folder` (an open folder, for durable work) gets a file without a name,
// which goes with the process. 0 or -errno.
int sluice_limit_probe_open(int listener, int folder, enum sluice_probe_work work, sluice_limit_probe **probe);
// Serves until the process ends; returns only with -errno.
int sluice_limit_probe_serve(sluice_limit_probe *probe);
#endif
