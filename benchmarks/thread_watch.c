/* Preloaded into the benchmark: what one thread does between two sleeps, without a change to the program that is measured.
 *
 * Counts the watched thread's allocations and frees, and keeps what passes between its waking from clock_nanosleep() and
 * its next call of it: all of a tick, not only the part before the command. Costs the tick two readings of the clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_TICKS (1u << 20)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *room, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *room);

static int watched;
static uint64_t allocations;
static uint32_t ticks;
static uint32_t costs_ns[MOST_TICKS];
static __thread int self_id;
static __thread int64_t woke_ns;

static int is_watched(void) {
    if (self_id == 0) self_id = gettid();
    return self_id == __atomic_load_n(&watched, __ATOMIC_ACQUIRE);
}

static void count(void) {
    if (is_watched()) __atomic_add_fetch(&allocations, 1u, __ATOMIC_RELAXED);
}

/* Watch this thread from now on (0: none) and forget what was counted. Touches all pages: none faults in the thread. */
void thread_watch_start(int thread_id) {
    __atomic_store_n(&watched, 0, __ATOMIC_RELEASE);
    memset(costs_ns, 0, sizeof costs_ns);
    __atomic_store_n(&allocations, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&ticks, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&watched, thread_id, __ATOMIC_RELEASE);
}

uint64_t thread_watch_allocations(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }
uint32_t thread_watch_ticks(void) { return __atomic_load_n(&ticks, __ATOMIC_ACQUIRE); }
const uint32_t *thread_watch_costs_ns(void) { return costs_ns; }

typedef int sleeper(clockid_t clock, int flags, const struct timespec *until, struct timespec *left);
static sleeper *real_sleep;

/* Before any thread is watched, so that it faults on nothing of this. */
__attribute__((constructor)) static void prepare(void) {
    const struct timespec now = {0, 0};
    *(void **)&real_sleep = dlsym(RTLD_NEXT, "clock_nanosleep");
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &now, NULL);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    const int watching = is_watched();
    const uint32_t at = ticks;
    if (watching && woke_ns != 0 && at < MOST_TICKS) {
        costs_ns[at] = (uint32_t)(now_ns() - woke_ns);
        __atomic_store_n(&ticks, at + 1u, __ATOMIC_RELEASE);
    }
    const int result = real_sleep(clock, flags, until, left);
    woke_ns = watching ? now_ns() : 0;
    return result;
}

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *room, size_t size) {
    count();
    return __libc_realloc(room, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **room, size_t alignment, size_t size) {
    count();
    *room = __libc_memalign(alignment, size);
    return *room == NULL ? 12 : 0;
}

void free(void *room) {
    count();
    __libc_free(room);
}
