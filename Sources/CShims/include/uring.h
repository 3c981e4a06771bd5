#ifndef SLUICE_URING_H
#define SLUICE_URING_H
#include <stddef.h>
#include <stdint.h>
#endif
