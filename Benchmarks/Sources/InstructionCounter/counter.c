// The requests to callgrind are instructions without effect outside of it. Each end makes it write a file of its own,
// NAME.1, NAME.2 …, whose line `totals:` is the count; read and removed here.
#include "InstructionCounter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAS_CALLGRIND 1
#endif
#endif

#if defined(HAS_CALLGRIND)
static unsigned dump_count;

int instruction_counter_is_there(void) {
    return RUNNING_ON_VALGRIND && getenv("INSTRUCTION_COUNTER_FILE") != NULL;
}
void instruction_counter_begin(void) {
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}
int64_t instruction_counter_end(void) {
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
    dump_count++;
    char path[4096], line[4096];
    snprintf(path, sizeof path, "%s.%u", getenv("INSTRUCTION_COUNTER_FILE"), dump_count);
    FILE *file = fopen(path, "r");
    if (file == NULL) return -1;
    int64_t total = -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "totals: ", 8) == 0) total = strtoll(line + 8, NULL, 10);
    }
    fclose(file);
    remove(path);
    return total;
}
#else
int instruction_counter_is_there(void) { return 0; }
void instruction_counter_begin(void) {}
int64_t instruction_counter_end(void) { return -1; }
#endif

uint64_t instruction_counter_yardstick(int64_t count) {
    static unsigned char bytes[1024];
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < count; i++) {
        bytes[i & 1023]++;
        for (unsigned place = 0; place < sizeof bytes; place++) hash = (hash ^ bytes[place]) * 0x100000001b3u;
    }
    return hash;
}
