/* See port.h. */
#define _GNU_SOURCE
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A short spin catches a partner that runs on another core; a long one would keep the partner off a shared core. */
#define SPIN_NS 3000
#define WAIT_SLICE_NS 50000000

static int64_t monotonic_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static dp_region *region_of(const port *self) { return self->region; }

static int failed(int *system_error) {
    *system_error = errno;
    return PORT_SYSTEM;
}

static int map(port *self, int fd, int *system_error) {
    void *region = mmap(NULL, sizeof(dp_region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED) return failed(system_error);
    self->region = region;
    self->fd = fd;
    return PORT_OK;
}

/* Locks of the open file description vanish with the process, however it dies. */
static int lock_role(int fd, uint32_t role, int *system_error) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)role, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return PORT_OK;
    if (errno == EAGAIN || errno == EACCES) return PORT_IN_USE;
    return failed(system_error);
}

/* Whether the region still is the one under its name. Only the holder of the driver's lock takes the name away, so for
 * whoever holds it the answer stays; a lock won late may be that of a region that another driver has removed. */
static int is_named(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink > 0u;
}

/* Removes a region left by a dead driver; PORT_IN_USE when the driver lives. */
static int clear_stale(const char *name, int *system_error) {
    const int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return errno == ENOENT ? PORT_OK : failed(system_error);
    int result = lock_role(fd, DP_LOCK_DRIVER, system_error);
    if (result == PORT_OK && is_named(fd) && shm_unlink(name) != 0) result = failed(system_error);
    (void)close(fd);
    return result;
}

int port_create(port *self, const char *name, uint32_t n_axes, const uint8_t *joint_digest, uint64_t watchdog_ns,
                uint32_t clock_mode, int *system_error) {
    self->region = NULL;
    self->fd = -1;
    int result = clear_stale(name, system_error);
    if (result != PORT_OK) return result;
    const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno == EEXIST ? PORT_IN_USE : failed(system_error);
    result = lock_role(fd, DP_LOCK_DRIVER, system_error);
    if (result == PORT_OK && !is_named(fd)) result = PORT_IN_USE;
    /* Reserved now: a full /dev/shm is an error here instead of a SIGBUS at the first write. */
    if (result == PORT_OK && (errno = posix_fallocate(fd, 0, (off_t)sizeof(dp_region))) != 0)
        result = failed(system_error);
    if (result == PORT_OK) result = map(self, fd, system_error);
    if (result == PORT_OK) result = dp_init(self->region, n_axes, joint_digest, watchdog_ns, clock_mode);
    if (result == PORT_OK) return PORT_OK;
    if (result != PORT_IN_USE) (void)shm_unlink(name);
    if (self->region == NULL) (void)close(fd);
    port_close(self);
    return result;
}

int port_attach(port *self, const char *name, int *system_error) {
    struct stat status;
    self->region = NULL;
    self->fd = -1;
    const int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return errno == ENOENT ? PORT_MISSING : failed(system_error);
    int result = fstat(fd, &status) == 0 ? PORT_OK : failed(system_error);
    if (result == PORT_OK && status.st_size < (off_t)sizeof(dp_identity)) result = PORT_MISSING;
    if (result == PORT_OK && status.st_size < (off_t)sizeof(dp_region)) result = DP_BAD_SIZE;
    if (result == PORT_OK) result = map(self, fd, system_error);
    if (result != PORT_OK) {
        (void)close(fd);
        return result;
    }
    result = dp_check(self->region);
    if (result == DP_BAD_MAGIC && region_of(self)->identity.magic == 0u) result = PORT_MISSING;
    if (result != DP_OK) port_close(self);
    return result;
}

int port_claim(const port *self, uint32_t role, int *system_error) { return lock_role(self->fd, role, system_error); }

int port_is_claimed(const port *self, uint32_t role) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)role, .l_len = 1};
    /* This description's own lock does not conflict with itself, so it does not show here. */
    return fcntl(self->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void port_close(port *self) {
    if (self->region != NULL) {
        (void)munmap(self->region, sizeof(dp_region));
        (void)close(self->fd);
    }
    self->region = NULL;
    self->fd = -1;
}

int port_unlink(const char *name) { return shm_unlink(name) == 0 || errno == ENOENT ? 0 : -errno; }

void port_write_feedback(port *self, dp_feedback *feedback) { dp_write_feedback(self->region, feedback); }
int port_read_feedback(const port *self, dp_feedback *feedback) { return dp_read_feedback(self->region, feedback); }
int port_read_command(const port *self, dp_command *command) { return dp_read_command(self->region, command); }
void port_write_command(port *self, dp_command *command) { dp_write_command(self->region, command); }
void port_advance_clock(port *self, int64_t now_ns) { dp_set_virtual_now(self->region, now_ns); }
int64_t port_now_ns(const port *self) { return dp_now_ns(self->region); }
void port_acknowledge_observation(port *self, int64_t stamp_ns) { dp_acknowledge_observation(self->region, stamp_ns); }
uint32_t port_axes(const port *self) { return region_of(self)->identity.n_axes; }
uint32_t port_clock_mode(const port *self) { return region_of(self)->identity.clock_mode; }
uint64_t port_watchdog_ns(const port *self) { return region_of(self)->identity.watchdog_ns; }
void port_joint_digest(const port *self, uint8_t *digest) {
    memcpy(digest, region_of(self)->identity.joint_digest, DP_DIGEST_BYTES);
}

/* Spins, then sleeps in slices, until the signal's word differs from seen or until_ns has passed (then 0). */
static int wait_signal(dp_signal *signal, uint32_t seen, int64_t until_ns) {
    const int64_t start_ns = monotonic_ns();
    int64_t now_ns = start_ns;
    while (dp_signal_seen(signal) == seen) {
        if (now_ns >= until_ns) return 0;
        if (now_ns - start_ns < SPIN_NS) {
            pause_cpu();
        } else {
            const int64_t left_ns = until_ns - now_ns;
            dp_signal_wait(signal, seen, left_ns < WAIT_SLICE_NS ? left_ns : WAIT_SLICE_NS);
        }
        now_ns = monotonic_ns();
    }
    return 1;
}

int port_wait_command(port *self, int64_t stamp_ns, int64_t timeout_ns, dp_command *command) {
    dp_signal *signal = &region_of(self)->time.command_written;
    const int64_t until_ns = monotonic_ns() + timeout_ns;
    for (;;) {
        const uint32_t seen = dp_signal_seen(signal);
        if (dp_read_command(self->region, command) == DP_OK && command->stamp_ns >= stamp_ns) return DP_OK;
        if (!wait_signal(signal, seen, until_ns)) return DP_TIMEOUT;
    }
}

int port_wait_observation_ack(port *self, int64_t stamp_ns, int64_t timeout_ns) {
    dp_signal *signal = &region_of(self)->time.ack_written;
    const int64_t until_ns = monotonic_ns() + timeout_ns;
    for (;;) {
        const uint32_t seen = dp_signal_seen(signal);
        if (dp_observation_ack(self->region) >= stamp_ns) return DP_OK;
        if (!wait_signal(signal, seen, until_ns)) return DP_TIMEOUT;
    }
}
