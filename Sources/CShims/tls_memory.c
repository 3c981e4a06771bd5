// OpenSSL's memory: free lists of the thread, in size classes of a quarter of their power of two. A record costs
// OpenSSL a few small blocks that it frees at once, a connection some thirty; with these lists a warm loop asks the
// system for none of them, and takes no lock that another thread holds.
//
// Invariants: each block begins with its class, so that any thread may free it; a list holds no more than
// LIST_BYTES_MAX and one block; a thread that ends gives its lists back. Larger blocks are the system's.
#include "tls.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 16, CLASS_COUNT = 44, CLASS_NONE = CLASS_COUNT, LIST_BYTES_MAX = 512 * 1024 };
// The smallest class and, four to a doubling, the others: 32, 40, 48, 56, 64, 80 … 57,344.
enum { SMALLEST = 32 };

typedef struct block {
    union {
        struct block *next;
        uint64_t klass;
    } head;
    uint64_t padding;
} block;

typedef struct {
    block *first;
    size_t bytes;
} list;

static _Thread_local list lists[CLASS_COUNT];
static _Thread_local uint64_t misses;
// Lists are in use once the thread's end is watched, and no more once it has come.
static _Thread_local enum { UNWATCHED, IN_USE, ENDED } thread_state;
static pthread_key_t thread_end;

static size_t class_bytes(unsigned klass) { return (size_t)(4 + klass % 4) * (SMALLEST / 4) << klass / 4; }
static unsigned class_of(size_t bytes) {
    if (bytes <= SMALLEST) return 0;
    const size_t last = bytes - 1;
    const unsigned top = 63 - (unsigned)__builtin_clzll(last);
    // The two bits behind the top one say which quarter; one class up holds `bytes`.
    const unsigned klass = (top - 5) * 4 + (unsigned)(last >> (top - 2) & 3) + 1;
    return klass < CLASS_COUNT ? klass : CLASS_NONE;
}
static void end_thread(void *unused) {
    (void)unused;
    thread_state = ENDED;
    for (unsigned klass = 0; klass < CLASS_COUNT; klass++) {
        while (lists[klass].first != NULL) {
            block *next = lists[klass].first->head.next;
            free(lists[klass].first);
            lists[klass].first = next;
        }
        lists[klass].bytes = 0;
    }
}
static void *take(size_t bytes, const char *file, int line) {
    (void)file, (void)line;
    if (bytes == 0) return NULL;
    const unsigned klass = class_of(bytes);
    block *found = NULL;
    if (klass != CLASS_NONE && lists[klass].first != NULL) {
        found = lists[klass].first;
        lists[klass].first = found->head.next;
        lists[klass].bytes -= class_bytes(klass);
    } else {
        misses++;
        found = malloc(HEADER_BYTES + (klass == CLASS_NONE ? bytes : class_bytes(klass)));
        if (found == NULL) return NULL;
    }
    found->head.klass = klass;
    found->padding = bytes;
    return (char *)found + HEADER_BYTES;
}
static void give(void *memory, const char *file, int line) {
    (void)file, (void)line;
    if (memory == NULL) return;
    block *one = (block *)(void *)((char *)memory - HEADER_BYTES);
    const unsigned klass = (unsigned)one->head.klass;
    if (thread_state == UNWATCHED) {
        thread_state = pthread_setspecific(thread_end, &thread_state) == 0 ? IN_USE : ENDED;
    }
    if (klass == CLASS_NONE || thread_state == ENDED || lists[klass].bytes >= LIST_BYTES_MAX) {
        free(one);
        return;
    }
    one->head.next = lists[klass].first;
    lists[klass].first = one;
    lists[klass].bytes += class_bytes(klass);
}
static void *change(void *memory, size_t bytes, const char *file, int line) {
    if (memory == NULL) return take(bytes, file, line);
    if (bytes == 0) {
        give(memory, file, line);
        return NULL;
    }
    block *one = (block *)(void *)((char *)memory - HEADER_BYTES);
    const unsigned klass = (unsigned)one->head.klass;
    if (klass != CLASS_NONE && bytes <= class_bytes(klass)) {
        one->padding = bytes;
        return memory;
    }
    void *larger = take(bytes, file, line);
    if (larger == NULL) return NULL;
    memcpy(larger, memory, one->padding < bytes ? one->padding : bytes);
    give(memory, file, line);
    return larger;
}
uint64_t sluice_tls_memory_misses(void) { return misses; }

// A sanitizer must see each block by itself.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

// Before anybody has asked OpenSSL for anything, which is the only time it takes other functions. When it refuses, all
// works as before, with the system's memory.
__attribute__((constructor)) static void begin(void) {
    if (IS_SANITIZED || pthread_key_create(&thread_end, end_thread) != 0) return;
    CRYPTO_set_mem_functions(take, change, give);
}
