#ifndef SLUICE_XXH_H
#define SLUICE_XXH_H
#include <stddef.h>
#include <stdint.h>
#endif
