// Counts, then hands on to glibc. May touch nothing that allocates while a thread is watched.
//
// Invariant: every function through which glibc gives memory out is here; one that is missing would hide allocations.
// The stack of an allocation is taken with the thread unwatched, because unwinding may allocate itself.
#include "MallocCounter.h"
#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { stack_count_max = 8, frame_count_max = 24 };

static __thread int watched;
static atomic_uint_fast64_t allocations, frees;
static atomic_int tracing;
static atomic_int stack_count;
static void *stacks[stack_count_max][frame_count_max];
static int depths[stack_count_max];

static void note(atomic_uint_fast64_t *counter) {
    if (!watched) return;
    atomic_fetch_add(counter, 1);
    if (!atomic_load(&tracing)) return;
    watched = 0;
    int place = atomic_fetch_add(&stack_count, 1);
    if (place < stack_count_max) depths[place] = backtrace(stacks[place], frame_count_max);
    watched = 1;
}

void malloc_counter_watch(void) {
    // The first call loads the unwinder, which allocates.
    void *frame[1];
    backtrace(frame, 1);
    watched = 1;
}
uint64_t malloc_counter_allocations(void) { return atomic_load(&allocations); }
uint64_t malloc_counter_frees(void) { return atomic_load(&frees); }
void malloc_counter_trace(int on) {
    if (on) atomic_store(&stack_count, 0);
    atomic_store(&tracing, on);
}
void malloc_counter_print(void) {
    int count = atomic_load(&stack_count);
    for (int i = 0; i < count && i < stack_count_max; i++) {
        backtrace_symbols_fd(stacks[i], depths[i], 2);
        if (write(2, "\n", 1) < 0) return;
    }
}

void *malloc(size_t bytes) {
    note(&allocations);
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    note(&allocations);
    return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
    note(&allocations);
    return __libc_realloc(memory, bytes);
}
void *memalign(size_t alignment, size_t bytes) {
    note(&allocations);
    return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void *taken = memalign(alignment, bytes);
    if (taken == NULL) return ENOMEM;
    *memory = taken;
    return 0;
}
void free(void *memory) {
    if (memory == NULL) return;
    note(&frees);
    __libc_free(memory);
}
