/* See loop.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loop_state.h"
#include "resident.h"

#define STACK_BYTES (384u * 1024u)
#define PREFAULT_BYTES (160u * 1024u)
#define VIRTUAL_WAIT_NS 2000000
/* A short spin catches a partner that runs on another core; a long one would keep the partner off a shared core. */
#define SPIN_NS 3000
#define VIRTUAL_STALL_NS 200000000

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static void sleep_until(int64_t deadline_ns) {
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000), .tv_nsec = (long)(deadline_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static int moving(const loop *self) {
    return self->kernel.state == KERNEL_ACTIVE || self->kernel.state == KERNEL_HOLDING ||
           self->kernel.state == KERNEL_STOPPING || self->kernel.state == KERNEL_RETRACTING;
}

/* Whether the loop may end: told to, and at rest. Deceleration is asked for on the first call. */
static int may_end(loop *self, int64_t now_ns, int *disarmed) {
    if (!__atomic_load_n(&self->stop_wanted, __ATOMIC_ACQUIRE)) return 0;
    if (!*disarmed) {
        (void)loop_ask_kernel(self, KERNEL_REQUEST_DISARM, now_ns);
        *disarmed = 1;
    }
    return !moving(self) || __atomic_load_n(&self->stop_wanted, __ATOMIC_ACQUIRE) > 1u;
}

static void run_monotonic(loop *self) {
    const int64_t period_ns = self->config.tick_ns;
    int64_t deadline_ns = monotonic_ns() + period_ns;
    int disarmed = 0;
    for (;;) {
        sleep_until(deadline_ns);
        const int64_t now_ns = monotonic_ns();
        const int64_t lateness_ns = now_ns - deadline_ns;
        const int64_t missed = lateness_ns / period_ns;
        if (missed > 0) {
            count(&self->counters.overruns, (uint64_t)missed);
            deadline_ns += missed * period_ns;
        }
        loop_tick(self, deadline_ns, now_ns, lateness_ns);
        loop_answer(self, now_ns);
        if (may_end(self, now_ns, &disarmed)) return;
        deadline_ns += period_ns;
    }
}

static void run_virtual(loop *self) {
    dp_signal *clock = &self->region->time.clock_changed;
    int64_t last_ns = 0;
    int64_t progress_ns = monotonic_ns();
    int disarmed = 0;
    for (;;) {
        const uint32_t seen = dp_signal_seen(clock);
        const int64_t now_ns = dp_now_ns(self->region);
        if (now_ns > last_ns) {
            loop_tick(self, now_ns, now_ns, 0);
            last_ns = now_ns;
            progress_ns = monotonic_ns();
        }
        /* Also while the clock stands still: the plant waits for a supervisor that may be arming right now. */
        loop_answer(self, last_ns);
        if (may_end(self, last_ns, &disarmed)) return;
        if (disarmed && monotonic_ns() - progress_ns > VIRTUAL_STALL_NS) return;
        const int64_t spin_until_ns = self->spins ? monotonic_ns() + SPIN_NS : 0;
        while (dp_signal_seen(clock) == seen) {
            pause_cpu();
            if (monotonic_ns() > spin_until_ns) {
                dp_signal_wait(clock, seen, VIRTUAL_WAIT_NS);
                break;
            }
        }
    }
}

static void leave_silent(loop *self) {
    self->verdict.state = KERNEL_SILENT;
    memset(self->verdict.dq, 0, sizeof self->verdict.dq);
    loop_write_command(self, dp_now_ns(self->region), 0);
    __atomic_store_n(&self->counters.state, (uint32_t)KERNEL_SILENT, __ATOMIC_RELAXED);
}

static void grant(loop *self, uint32_t bit) {
    __atomic_or_fetch(&self->counters.granted, bit, __ATOMIC_RELAXED);
}

static void become_realtime(loop *self) {
    volatile unsigned char stack[PREFAULT_BYTES];
    for (size_t i = 0; i < sizeof stack; i += 1024u) stack[i] = 0u;
    if (prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul) == 0) grant(self, LOOP_GRANTED_TIMER_SLACK);
    if (self->options.cpu >= 0 && self->options.cpu < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)self->options.cpu, &set);
        if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0) grant(self, LOOP_GRANTED_CPU);
    }
    /* On the virtual clock the loop spins for its turn; at real-time priority that would starve the plant. */
    if (self->options.priority > 0 && !self->is_virtual) {
        const struct sched_param parameter = {.sched_priority = self->options.priority};
        if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter) == 0) grant(self, LOOP_GRANTED_PRIORITY);
    }
}

static uint64_t thread_page_faults(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return 0u;
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void *run(void *argument) {
    loop *self = argument;
    become_realtime(self);
    const uint64_t faults_before = thread_page_faults();
    if (self->is_virtual)
        run_virtual(self);
    else
        run_monotonic(self);
    __atomic_store_n(&self->counters.page_faults, thread_page_faults() - faults_before, __ATOMIC_RELAXED);
    leave_silent(self);
    __atomic_store_n(&self->counters.running, 0u, __ATOMIC_RELEASE);
    return NULL;
}

/* ---- supervisor's side --------------------------------------------------------------------------------------- */

/* Only what gets touched is locked: a whole interpreter made resident would cost memory and win nothing. */
static void lock_memory(loop *self) {
    struct rlimit limit;
    const int unlimited =
        geteuid() == 0 || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
#ifdef MCL_ONFAULT
    /* Under a limit, MCL_FUTURE would make later allocations of the supervisor fail. */
    if (unlimited && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) {
        grant(self, LOOP_GRANTED_MEMORY);
        return;
    }
#endif
    if (mlock(self, sizeof *self) == 0 && mlock(self->region, sizeof *self->region) == 0)
        grant(self, LOOP_GRANTED_MEMORY);
}

loop *loop_create(const port *shared, const kernel_config *config, const loop_options *options, int *error) {
    uint32_t culprit;
    *error = LOOP_BAD_CONFIG;
    if (kernel_config_check(config, &culprit) != KERNEL_CONFIG_OK || port_axes(shared) != config->n_axes) return NULL;
    loop *self = NULL;
    *error = LOOP_NO_MEMORY;
    if (posix_memalign((void **)&self, 64u, sizeof *self) != 0) return NULL;
    memset(self, 0, sizeof *self); /* touches every page: none faults later */
    self->fd = fcntl(shared->fd, F_DUPFD_CLOEXEC, 0);
    void *region = self->fd < 0 ? MAP_FAILED
                                : mmap(NULL, sizeof(dp_region), PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
    const int has_line = options->has_stop_line != 0u;
    const int stop_line_fd = has_line ? fcntl(options->stop_line_fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (region == MAP_FAILED || (has_line && stop_line_fd < 0)) {
        if (region != MAP_FAILED) {
            *error = LOOP_BAD_DESCRIPTOR;
            (void)munmap(region, sizeof(dp_region));
        }
        if (stop_line_fd >= 0) (void)close(stop_line_fd);
        if (self->fd >= 0) (void)close(self->fd);
        free(self);
        return NULL;
    }
    self->region = region;
    self->config = *config;
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (config->axis_kind[i] == KERNEL_AXIS_GRIPPER || config->axis_kind[i] == KERNEL_AXIS_VELOCITY)
            self->linear |= 1u << i;
    self->options = *options;
    self->is_virtual = self->region->identity.clock_mode == DP_CLOCK_VIRTUAL;
    self->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    self->latency_fd = -1;
    self->stop_line_fd = stop_line_fd;
    watch_init(&self->watch, options->stall_timeout_ns, options->progress_timeout_ns);
    self->progress_timeout_ns = options->progress_timeout_ns;
    kernel_init(&self->kernel, &self->config);
    *error = LOOP_OK;
    return self;
}

static void release_latency(loop *self) {
    if (self->latency_fd >= 0) (void)close(self->latency_fd);
    self->latency_fd = -1;
}

int loop_start(loop *self) {
    pthread_attr_t attributes;
    sigset_t all, before;
    if (self->thread_exists) return LOOP_NO_THREAD;
    if (self->options.lock_memory) lock_memory(self);
    resident_touch_libraries();
    if (self->options.dma_latency) {
        const int32_t zero = 0;
        self->latency_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
        if (self->latency_fd >= 0 && write(self->latency_fd, &zero, sizeof zero) == (ssize_t)sizeof zero)
            grant(self, LOOP_GRANTED_DMA_LATENCY);
    }
    __atomic_store_n(&self->stop_wanted, 0u, __ATOMIC_RELEASE);
    __atomic_store_n(&self->counters.running, 1u, __ATOMIC_RELEASE);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* Signals are the interpreter's: its handlers may not run on this thread. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    self->thread_exists = pthread_create(&self->thread, &attributes, run, self) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (self->thread_exists) return LOOP_OK;
    __atomic_store_n(&self->counters.running, 0u, __ATOMIC_RELEASE);
    release_latency(self);
    return LOOP_NO_THREAD;
}

/* Whether the thread has ended by then. */
static int wait_for_end(const loop *self, int64_t until_ns) {
    while (loop_running(self)) {
        if (monotonic_ns() > until_ns) return 0;
        sleep_until(monotonic_ns() + 100000);
    }
    return 1;
}

int loop_stop(loop *self, int64_t timeout_ns) {
    if (!self->thread_exists) return LOOP_NOT_RUNNING;
    int result = LOOP_OK;
    __atomic_store_n(&self->stop_wanted, 1u, __ATOMIC_RELEASE);
    if (!wait_for_end(self, monotonic_ns() + timeout_ns)) {
        result = LOOP_TIMEOUT;
        __atomic_store_n(&self->stop_wanted, 2u, __ATOMIC_RELEASE);
        if (!wait_for_end(self, monotonic_ns() + LOOP_END_NS)) return LOOP_STUCK;
    }
    (void)pthread_join(self->thread, NULL);
    self->thread_exists = 0;
    release_latency(self);
    return result;
}

void loop_destroy(loop *self) {
    if (self->thread_exists && loop_stop(self, 2000000000) == LOOP_STUCK) return;
    watch_release(&self->watch.target);
    if (self->stop_line_fd >= 0) (void)close(self->stop_line_fd);
    (void)munmap(self->region, sizeof(dp_region));
    (void)close(self->fd);
    free(self);
}
