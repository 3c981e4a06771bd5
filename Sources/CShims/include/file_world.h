// Files of one thread's own instead of the kernel's, so that a whole gateway runs on a disk that a simulator has in
// memory. Entered by tests alone; the calls are those of file.h and answer as they do.
#ifndef SLUICE_FILE_WORLD_H
#define SLUICE_FILE_WORLD_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    void *context;
    int (*open)(void *context, int directory, const char *name, int flags);
    int (*close)(void *context, int file);
    int64_t (*read)(void *context, int file, void *bytes, size_t count, uint64_t offset);
    int64_t (*write)(void *context, int file, const void *bytes, size_t count, uint64_t offset);
    int (*sync)(void *context, int file);
    int (*allocate)(void *context, int file, uint64_t count);
    int (*rename)(void *context, int directory, const char *from, const char *to);
    int (*remove)(void *context, int directory, const char *name);
    int (*make_directory)(void *context, int directory, const char *name);
    int64_t (*size)(void *context, int file);
    int (*identity)(void *context, int file, uint64_t *device, uint64_t *inode);
    int64_t (*free_bytes)(void *context);
    // 1 and the name at that place of the listing, 0 behind the last one, or -errno.
    int (*list)(void *context, int directory, int place, char name[256]);
    int (*random)(void *context, void *bytes, size_t count);
} sluice_file_world;

// This thread's files from now on; NULL: the kernel's again. `world` lives until then.
void sluice_file_world_enter(const sluice_file_world *world);
#endif
