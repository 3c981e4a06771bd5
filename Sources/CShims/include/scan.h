// Classifies the bytes of JSON text, 64 at a time. What the masks mean is FastPath/JSON's business.
#ifndef SLUICE_SCAN_H
#define SLUICE_SCAN_H
#include "os.h"

// Bit i stands for byte i.
struct sluice_json_masks {
    uint64_t quotes;
    uint64_t backslashes;
    uint64_t opens;   // { and [
    uint64_t closes;  // } and ]
};
// Reads exactly 64 bytes.
SLUICE_HOT void sluice_json_classify(const uint8_t *bytes, struct sluice_json_masks *masks);
#endif
