#ifndef SLUICE_SCAN_H
#define SLUICE_SCAN_H
#include <stddef.h>
#include <stdint.h>
#endif
