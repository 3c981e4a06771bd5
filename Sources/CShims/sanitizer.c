// What ThreadSanitizer has to be told, in a build that has it; in every other build this file is empty.
//
// A contended lock of Swift's `Synchronization.Mutex` is taken and given back inside the standard library, which is not
// instrumented: what the lock orders would be reported as a race. Two functions stand here in front of the library's
// own, and say so. Their names are those of Swift 6's library; when one is gone, the reports come back, and nothing
// else happens.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <dlfcn.h>
#include <stdint.h>

extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

#define SWIFT_METHOD __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context)) void *self
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT_METHOD void sluice_traced_lock(uint32_t owner, SWIFT_SELF) __asm__(LOCK_SLOW);
SWIFT_METHOD void sluice_traced_unlock(SWIFT_SELF) __asm__(UNLOCK_SLOW);

SWIFT_METHOD void sluice_traced_lock(uint32_t owner, SWIFT_SELF) {
    typedef SWIFT_METHOD void (*method)(uint32_t, SWIFT_SELF);
    ((method)dlsym(RTLD_NEXT, LOCK_SLOW))(owner, self);
    __tsan_acquire(self);
}
SWIFT_METHOD void sluice_traced_unlock(SWIFT_SELF) {
    typedef SWIFT_METHOD void (*method)(SWIFT_SELF);
    __tsan_release(self);
    ((method)dlsym(RTLD_NEXT, UNLOCK_SLOW))(self);
}
#endif
#endif
