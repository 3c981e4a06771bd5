// File-system calls of the log. Results are >= 0 or -errno; EINTR is hidden where a repeat is harmless.
// fsync and fdatasync are never repeated: after an error the second one lies.
#ifndef SLUICE_FILE_H
#define SLUICE_FILE_H
#include <stddef.h>
#include <stdint.h>

// flags of sluice_file_open
enum {
    SLUICE_FILE_WRITE = 1,      // read and write, else read only
    SLUICE_FILE_CREATE = 2,     // must not exist yet; mode 0600
    SLUICE_FILE_ENSURE = 4,     // created when missing; mode 0600
    SLUICE_FILE_DIRECT = 8,     // O_DIRECT
    SLUICE_FILE_DIRECTORY = 16
};

int sluice_file_open(int directory, const char *name, int flags);
int sluice_file_close(int file);
// The file's clean pages need not stay in the page cache.
void sluice_file_forget_cache(int file);
// Reads of it bring no more into the page cache than was asked for.
void sluice_file_read_no_further(int file);
// Writes go past the page cache from now on, or through it again. -EINVAL where the file system cannot.
int sluice_file_set_direct(int file, int is_direct);
int64_t sluice_file_read(int file, void *bytes, size_t count, uint64_t offset);
int64_t sluice_file_write(int file, const void *bytes, size_t count, uint64_t offset);
int sluice_file_sync_data(int file);
int sluice_file_sync(int file);
int sluice_file_allocate(int file, uint64_t count);
int sluice_file_rename(int directory, const char *from, const char *to);
int sluice_file_remove(int directory, const char *name);
int sluice_file_make_directory(int directory, const char *name);
// 0, -EWOULDBLOCK when another open file description holds it.
int sluice_file_lock(int file);
int sluice_file_unlock(int file);
int64_t sluice_file_size(int file);
// Nanoseconds since 1970 of the last modification.
int64_t sluice_file_modified(int file);
// Bytes an unprivileged process may still write.
int64_t sluice_file_system_free(int file);
// The working directory as `directory` of sluice_file_open.
int sluice_file_working_directory(void);
// Number of device and inode, to see whether a name still leads to the same file.
int sluice_file_identity(int file, uint64_t *device, uint64_t *inode);
// The C library's words for an errno.
const char *sluice_error_text(int error);
// Fills `bytes` from the kernel's generator; 0 or -errno.
int sluice_random_bytes(void *bytes, size_t count);

// A directory being listed. `next`: 1 and the name, 0 at the end, or -errno.
typedef struct sluice_listing sluice_listing;
int sluice_listing_open(int directory, sluice_listing **listing);
int sluice_listing_next(sluice_listing *listing, char name[256]);
void sluice_listing_close(sluice_listing *listing);

// Anonymous memory, zeroed and present (prefaulted); NULL when the system has none. Huge pages where it has them.
void *sluice_memory_take(size_t count);
void sluice_memory_give_back(void *memory, size_t count);
#endif
