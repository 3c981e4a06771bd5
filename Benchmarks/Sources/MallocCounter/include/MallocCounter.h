// The C library's allocation functions, counted on the threads that ask for it. Linked into an executable they take the
// place of the library's own, for Swift's runtime too.
#ifndef MALLOC_COUNTER_H
#define MALLOC_COUNTER_H
#include <stdint.h>

// From now on the calling thread is counted.
void malloc_counter_watch(void);
// What the watched threads did until now.
uint64_t malloc_counter_allocations(void);
uint64_t malloc_counter_frees(void);
// Keeps the stacks of the next allocations and frees, a few of them; `malloc_counter_print` writes them to standard
// error as addresses for addr2line.
void malloc_counter_trace(int on);
void malloc_counter_print(void);
#endif
