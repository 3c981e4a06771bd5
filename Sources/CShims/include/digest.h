#ifndef SLUICE_DIGEST_H
#define SLUICE_DIGEST_H
#include <stddef.h>
#include <stdint.h>
#endif
