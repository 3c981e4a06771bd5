// Every C call that FastPath makes, by subject. No policy lives here.
#ifndef SLUICE_CSHIMS_H
#define SLUICE_CSHIMS_H
#include "os.h"
#include "process.h"
#include "file.h"
#include "file_world.h"
#include "net.h"
#include "uring.h"
#include "digest.h"
#include "xxh.h"
#include "pattern.h"
#include "scan.h"
#include "egress.h"
#include "publickey.h"
#include "sealing.h"
#include "tls.h"
#include "limit_probe.h"
#include "load.h"
#endif
