/* See lifeline.h. */
#define _GNU_SOURCE
#include "lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define MAGIC 0x454e494c4546494cull /* "LIFELINE", little-endian */

typedef struct {
    uint64_t magic;
    uint64_t reserved[7];
    pthread_mutex_t lock;
} page;

_Static_assert(sizeof(page) <= PAGE_BYTES, "one page");

static int take_lock(page *self) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error == 0) error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0) error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (error == 0) error = pthread_mutex_init(&self->lock, &attributes);
    if (error == 0) error = pthread_mutex_lock(&self->lock);
    (void)pthread_mutexattr_destroy(&attributes);
    if (error != 0) return -error;
    uint32_t word;
    memcpy(&word, &self->lock, sizeof word);
    if ((word & FUTEX_TID_MASK) != (uint32_t)gettid()) return -ENOSYS;
    self->magic = MAGIC;
    return 0;
}

int lifeline_hold(const char *path) {
    char made[512];
    if (snprintf(made, sizeof made, "%s.%ld", path, (long)getpid()) >= (int)sizeof made) return -ENAMETOOLONG;
    const int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    /* Reserved now: where there is no room, that is an error here and not a signal later. */
    int result = -posix_fallocate(fd, 0, PAGE_BYTES);
    void *room = result == 0 ? mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (result == 0 && room == MAP_FAILED) result = -errno;
    (void)close(fd);
    if (result == 0) result = take_lock(room);
    /* Only a whole one appears under its name. The mapping stays for as long as the process lives. */
    if (result == 0 && rename(made, path) != 0) result = -errno;
    if (result != 0) (void)unlink(made);
    return result;
}

static uint32_t read_word(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED) & FUTEX_TID_MASK; }

const uint32_t *lifeline_map(int fd, int32_t pid) {
    struct stat status;
    if (pid <= 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < PAGE_BYTES) return NULL;
    const page *self = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (self == MAP_FAILED) return NULL;
    const uint32_t *word = (const uint32_t *)(const void *)&self->lock;
    if (self->magic == MAGIC && read_word(word) == (uint32_t)pid) return word;
    (void)munmap((void *)(uintptr_t)self, PAGE_BYTES);
    return NULL;
}

void lifeline_unmap(const uint32_t *word) {
    const uintptr_t at = (uintptr_t)word;
    if (word != NULL) (void)munmap((void *)(at - at % PAGE_BYTES), PAGE_BYTES);
}

/* The system clears the owner's number when it marks the word. */
int lifeline_is_cut(const uint32_t *word) { return read_word(word) == 0u; }
