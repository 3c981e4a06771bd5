// File-system calls of the log; see file.h.
#include "CShims.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESULT(call) ({ int result_ = (call); result_ < 0 ? -errno : result_; })

// Null in a gateway, always: one predicted branch beside a system call.
static _Thread_local const sluice_file_world *world;
void sluice_file_world_enter(const sluice_file_world *own) { world = own; }
#define ELSEWHERE(call) if (__builtin_expect(world != NULL, 0)) return world->call

int sluice_file_open(int directory, const char *name, int flags) {
    ELSEWHERE(open(world->context, directory, name, flags));
    int kernel = O_CLOEXEC | (flags & SLUICE_FILE_WRITE ? O_RDWR : O_RDONLY);
    if (flags & SLUICE_FILE_CREATE) kernel |= O_CREAT | O_EXCL;
    if (flags & SLUICE_FILE_ENSURE) kernel |= O_CREAT;
    if (flags & SLUICE_FILE_DIRECT) kernel |= O_DIRECT;
    if (flags & SLUICE_FILE_DIRECTORY) kernel = O_CLOEXEC | O_RDONLY | O_DIRECTORY;
    int file;
    do file = openat(directory, name, kernel, 0600); while (file < 0 && errno == EINTR);
    return file < 0 ? -errno : file;
}

void sluice_file_read_no_further(int file) { if (!world) posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM); }
void sluice_file_forget_cache(int file) { if (!world) posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); }
int sluice_file_set_direct(int file, int is_direct) {
    int flags = fcntl(file, F_GETFL);
    if (flags < 0) return -errno;
    return RESULT(fcntl(file, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT));
}
int sluice_file_close(int file) {
    ELSEWHERE(close(world->context, file));
    return RESULT(close(file));
}

int64_t sluice_file_read(int file, void *bytes, size_t count, uint64_t offset) {
    ELSEWHERE(read(world->context, file, bytes, count, offset));
    ssize_t done;
    do done = pread(file, bytes, count, (off_t)offset); while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

int64_t sluice_file_write(int file, const void *bytes, size_t count, uint64_t offset) {
    ELSEWHERE(write(world->context, file, bytes, count, offset));
    ssize_t done;
    do done = pwrite(file, bytes, count, (off_t)offset); while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

int sluice_file_sync_data(int file) {
    ELSEWHERE(sync(world->context, file));
    return RESULT(fdatasync(file));
}
int sluice_file_sync(int file) {
    ELSEWHERE(sync(world->context, file));
    return RESULT(fsync(file));
}
int sluice_file_allocate(int file, uint64_t count) {
    ELSEWHERE(allocate(world->context, file, count));
    return RESULT(fallocate(file, 0, 0, (off_t)count));
}
int sluice_file_rename(int directory, const char *from, const char *to) {
    ELSEWHERE(rename(world->context, directory, from, to));
    return RESULT(renameat(directory, from, directory, to));
}
int sluice_file_remove(int directory, const char *name) {
    ELSEWHERE(remove(world->context, directory, name));
    return RESULT(unlinkat(directory, name, 0));
}
int sluice_file_make_directory(int directory, const char *name) {
    ELSEWHERE(make_directory(world->context, directory, name));
    return RESULT(mkdirat(directory, name, 0700));
}
int sluice_file_lock(int file) { return world ? 0 : RESULT(flock(file, LOCK_EX | LOCK_NB)); }
int sluice_file_unlock(int file) { return world ? 0 : RESULT(flock(file, LOCK_UN)); }
int sluice_file_working_directory(void) { return AT_FDCWD; }

int64_t sluice_file_size(int file) {
    ELSEWHERE(size(world->context, file));
    struct stat status;
    return fstat(file, &status) < 0 ? -errno : status.st_size;
}

int64_t sluice_file_modified(int file) {
    struct stat status;
    if (fstat(file, &status) < 0) return -errno;
    return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

int sluice_file_identity(int file, uint64_t *device, uint64_t *inode) {
    ELSEWHERE(identity(world->context, file, device, inode));
    struct stat status;
    if (fstat(file, &status) < 0) return -errno;
    *device = status.st_dev;
    *inode = status.st_ino;
    return 0;
}

int64_t sluice_file_system_free(int file) {
    ELSEWHERE(free_bytes(world->context));
    struct statvfs status;
    if (fstatvfs(file, &status) < 0) return -errno;
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

const char *sluice_error_text(int error) {
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

int sluice_random_bytes(void *bytes, size_t count) {
    ELSEWHERE(random(world->context, bytes, count));
    size_t done = 0;
    while (done < count) {
        ssize_t more = getrandom((char *)bytes + done, count - done, 0);
        if (more < 0 && errno != EINTR) return -errno;
        if (more > 0) done += (size_t)more;
    }
    return 0;
}

// `stream` is null in a world of one's own, where `place` counts what was listed.
struct sluice_listing {
    DIR *stream;
    int directory;
    int place;
};

static int open_listing_elsewhere(int directory, sluice_listing **listing) {
    *listing = calloc(1, sizeof **listing);
    if (!*listing) return -ENOMEM;
    (*listing)->directory = directory;
    return 0;
}

int sluice_listing_open(int directory, sluice_listing **listing) {
    if (world) return open_listing_elsewhere(directory, listing);
    int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return -errno;
    DIR *stream = fdopendir(own);
    if (!stream) {
        int error = errno;
        close(own);
        return -error;
    }
    *listing = malloc(sizeof **listing);
    if (!*listing) {
        closedir(stream);
        return -ENOMEM;
    }
    (*listing)->stream = stream;
    return 0;
}

int sluice_listing_next(sluice_listing *listing, char name[256]) {
    if (!listing->stream) return world->list(world->context, listing->directory, listing->place++, name);
    errno = 0;
    struct dirent *entry = readdir(listing->stream);
    if (!entry) return -errno;
    strncpy(name, entry->d_name, 255);
    name[255] = 0;
    return 1;
}

void sluice_listing_close(sluice_listing *listing) {
    if (listing->stream) closedir(listing->stream);
    free(listing);
}

void *sluice_memory_take(size_t count) {
    void *memory = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, count, MADV_HUGEPAGE);
    memset(memory, 0, count);
    return memory;
}

void sluice_memory_give_back(void *memory, size_t count) { munmap(memory, count); }
