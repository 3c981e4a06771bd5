// Counts the instructions of a stretch of code when the process runs under callgrind; elsewhere it says that it cannot.
#ifndef INSTRUCTION_COUNTER_H
#define INSTRUCTION_COUNTER_H
#include <stdint.h>

// 1 exactly when the process runs under callgrind with --instr-atstart=no and INSTRUCTION_COUNTER_FILE names what
// --callgrind-out-file does.
int instruction_counter_is_there(void);
void instruction_counter_begin(void);
// Instructions since the begin, or -1 when callgrind's file cannot be read.
int64_t instruction_counter_end(void);
// The yardstick of the counts: FNV-1a over 1 KiB, `count` times. Nothing of Sluice's, so nothing in it changes it.
uint64_t instruction_counter_yardstick(int64_t count);
#endif
