/* See driver_sdk.h. */
#define _GNU_SOURCE
#include "driver_sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "sha256.h"

#define PAGE_BYTES 4096u
#define TABLE_OFFSET 256u
#define RING_MAGIC 0x3130474e52464545ull
#define MAX_SIDE_PX 8192u
#define FUTURE_MAX_NS 1000000

/* As in ipc/frames.py. */
typedef struct {
    uint64_t magic; /* written last: a ring with the right magic is complete */
    uint32_t slots, width_px, height_px, reserved;
    char camera[64];
} ring_header;

typedef struct {
    uint64_t generation; /* even for a whole frame, odd while its slot is written */
    int64_t exposure_ns;
} ring_entry;

_Static_assert(sizeof(ring_header) == 88u && sizeof(ring_entry) == 16u, "a ring is laid out as in ipc/frames.py");

static volatile sig_atomic_t stop_asked;

static void ask_stop(int number) {
    (void)number;
    stop_asked = 1;
}

static int fail(ds_driver *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(ds_driver *self, const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)vsnprintf(self->error, sizeof self->error, format, values);
    va_end(values);
    return -1;
}

/* ---- names --------------------------------------------------------------------------------------------------- */

/* A gripper that is the only one, the last axis and called "gripper" is not in the digest. */
static uint32_t digested(const ds_axis *axes, uint32_t n_axes) {
    uint32_t grippers = 0u;
    for (uint32_t k = 0u; k < n_axes; k++) grippers += axes[k].is_gripper != 0u;
    const ds_axis *last = &axes[n_axes - 1u];
    return grippers == 1u && last->is_gripper && strcmp(last->name, "gripper") == 0 ? n_axes - 1u : n_axes;
}

void ds_joint_digest(const ds_axis *axes, uint32_t n_axes, uint8_t digest[DP_DIGEST_BYTES]) {
    sha256 hash;
    sha256_begin(&hash);
    const uint32_t count = n_axes > 0u ? digested(axes, n_axes) : 0u;
    for (uint32_t k = 0u; k < count; k++) {
        if (k > 0u) sha256_add(&hash, "\n", 1u);
        sha256_add(&hash, axes[k].name, strlen(axes[k].name));
    }
    sha256_end(&hash, digest);
}

void ds_sha256(const void *data, size_t bytes, uint8_t digest[DP_DIGEST_BYTES]) {
    sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, data, bytes);
    sha256_end(&hash, digest);
}

/* The first 16 hex digits of the SHA-256 of the folder's path, free of links and of "..". */
static int run_hash(const char *run_dir, char hex[17]) {
    char path[PATH_MAX];
    uint8_t digest[DP_DIGEST_BYTES];
    if (realpath(run_dir, path) == NULL) return -1;
    ds_sha256(path, strlen(path), digest);
    for (int k = 0; k < 8; k++) (void)snprintf(hex + 2 * k, 3u, "%02x", digest[k]);
    return 0;
}

static int fits(int written, size_t bytes) { return written >= 0 && (size_t)written < bytes ? 0 : -1; }

int ds_port_name(const char *run_dir, char *name, size_t bytes) {
    char hex[17];
    if (run_hash(run_dir, hex) != 0) return -1;
    return fits(snprintf(name, bytes, "edge-port-%s", hex), bytes);
}

int ds_ring_name(const char *run_dir, const char *camera, char *name, size_t bytes) {
    char hex[17];
    if (run_hash(run_dir, hex) != 0) return -1;
    return fits(snprintf(name, bytes, "edge-frames-%s-%s", hex, camera), bytes);
}

/* ---- rings --------------------------------------------------------------------------------------------------- */

static size_t stride_bytes(const ds_camera *camera) {
    const size_t picture = (size_t)camera->width_px * camera->height_px * 3u;
    return (picture + PAGE_BYTES - 1u) / PAGE_BYTES * PAGE_BYTES;
}

static ring_entry *entry_of(const ds_camera *camera, uint32_t slot) {
    return (ring_entry *)(void *)(camera->memory + TABLE_OFFSET) + slot;
}

static int open_ring(ds_driver *self, ds_camera *camera) {
    char path[DS_NAME_BYTES + 1];
    uint64_t start = 0u;
    (void)snprintf(path, sizeof path, "/%s", camera->ring);
    camera->bytes = PAGE_BYTES + DS_SLOTS * stride_bytes(camera);
    (void)shm_unlink(path);
    const int fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return fail(self, "ring of camera %s: %s", camera->name, strerror(errno));
    /* Reserved now: a full /dev/shm is an error here instead of a SIGBUS at the first pixel. */
    const int full = posix_fallocate(fd, 0, (off_t)camera->bytes);
    void *memory = full ? MAP_FAILED : mmap(NULL, camera->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (memory == MAP_FAILED) {
        const int why = full ? full : errno;
        (void)shm_unlink(path);
        return fail(self, "ring of camera %s, %zu bytes: %s", camera->name, camera->bytes, strerror(why));
    }
    camera->memory = memory;
    camera->pixels = camera->memory + PAGE_BYTES;
    /* A random start, so that a reference to this ring never fits the one that it replaced. */
    if (getrandom(&start, 6u, 0u) != 6) start = (uint64_t)ds_now_ns() & 0xffffffffffffull;
    for (uint32_t k = 0u; k < DS_SLOTS; k++) entry_of(camera, k)->generation = (start << 1) | 1u;
    ring_header *header = memory;
    header->slots = DS_SLOTS;
    header->width_px = camera->width_px;
    header->height_px = camera->height_px;
    memcpy(header->camera, camera->name, strlen(camera->name));
    __atomic_store_n(&header->magic, RING_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

int ds_camera_is_due(ds_driver *self, uint32_t number) {
    ds_camera *camera = &self->cameras[number];
    const int64_t now_ns = ds_now_ns();
    if (now_ns < camera->due_ns) return 0;
    camera->due_ns = (camera->due_ns == 0 || now_ns - camera->due_ns > camera->interval_ns ? now_ns : camera->due_ns) +
                     camera->interval_ns;
    return 1;
}

int ds_commit(ds_driver *self, uint32_t number, int64_t exposure_ns) {
    ds_camera *camera = &self->cameras[number];
    if (exposure_ns <= camera->last_ns)
        return fail(self, "picture of %s: not exposed after the one before it", camera->name);
    if (exposure_ns > ds_now_ns() + FUTURE_MAX_NS)
        return fail(self, "picture of %s: exposed after now, stamps are of ds_now_ns()", camera->name);
    camera->last_ns = exposure_ns;
    ring_entry *entry = entry_of(camera, camera->slot);
    const uint32_t next = (camera->slot + 1u) % DS_SLOTS;
    ring_entry *following = entry_of(camera, next);
    /* The slot that is written next is marked a whole picture's interval before its first new pixel. */
    __atomic_store_n(&following->generation, following->generation | 1u, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->exposure_ns, exposure_ns, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->generation, entry->generation + 1u, __ATOMIC_RELEASE);
    camera->slot = next;
    camera->pixels = camera->memory + PAGE_BYTES + next * stride_bytes(camera);
    return 0;
}

/* ---- the port ------------------------------------------------------------------------------------------------ */

static int read_camera(ds_driver *self, const char *text) {
    double rate_hz = 0.0;
    int end = 0;
    if (self->n_cameras == DS_MAX_CAMERAS) return fail(self, "--camera: at most %d cameras", DS_MAX_CAMERAS);
    ds_camera *camera = &self->cameras[self->n_cameras];
    if (sscanf(text, "%32[A-Za-z0-9_-]:%ux%u:%lf%n", camera->name, &camera->width_px, &camera->height_px, &rate_hz,
               &end) != 4 ||
        text[end] != '\0' || camera->width_px < 1u || camera->width_px > MAX_SIDE_PX || camera->height_px < 1u ||
        camera->height_px > MAX_SIDE_PX || !(rate_hz > 0.0 && rate_hz < 1e6))
        return fail(self, "--camera: expected NAME:WIDTHxHEIGHT:RATE_HZ, got %s", text);
    camera->interval_ns = (int64_t)(1e9 / rate_hz);
    self->n_cameras++;
    return 0;
}

static int read_arguments(ds_driver *self, int argc, char *const *argv, const char **run_dir) {
    for (int k = 1; k < argc; k++) {
        const char *value = k + 1 < argc ? argv[k + 1] : NULL;
        if (value == NULL) return fail(self, "%s: expected a value", argv[k]);
        if (strcmp(argv[k], "--run-dir") == 0) {
            *run_dir = value;
        } else if (strcmp(argv[k], "--watchdog-ns") == 0) {
            self->watchdog_ns = strtoull(value, NULL, 10);
        } else if (strcmp(argv[k], "--realtime-priority") == 0) {
            const struct sched_param priority = {.sched_priority = atoi(value)};
            /* Without the right to it, go on. */
            if (priority.sched_priority > 0) (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
        } else if (strcmp(argv[k], "--camera") == 0) {
            if (read_camera(self, value) != 0) return -1;
        } else {
            return fail(self, "%s: no such argument", argv[k]);
        }
        k++;
    }
    if (*run_dir == NULL) return fail(self, "--run-dir is missing");
    if (self->watchdog_ns == 0u) return fail(self, "--watchdog-ns is missing");
    return 0;
}

static int open_port(ds_driver *self, const char *run_dir, const ds_axis *axes) {
    char path[DS_NAME_BYTES + 1];
    uint8_t digest[DP_DIGEST_BYTES];
    int system_error = 0;
    if (ds_port_name(run_dir, self->name, sizeof self->name) != 0)
        return fail(self, "%.200s: %s", run_dir, strerror(errno));
    (void)snprintf(path, sizeof path, "/%s", self->name);
    ds_joint_digest(axes, self->n_axes, digest);
    const int result = port_create(&self->port, path, self->n_axes, digest, self->watchdog_ns, DP_CLOCK_MONOTONIC,
                                   &system_error);
    if (result == PORT_OK) return 0;
    if (result == PORT_IN_USE) return fail(self, "another live process drives the robot in %.180s", run_dir);
    if (result == DP_BAD_AXES) return fail(self, "a port has 1 to %d axes", DP_MAX_AXES);
    return fail(self, "cannot create driver port %s: %s", self->name, strerror(system_error));
}

int ds_open(ds_driver *self, int argc, char *const *argv, const ds_axis *axes, uint32_t n_axes) {
    const struct sigaction action = {.sa_handler = ask_stop};
    const char *run_dir = NULL;
    memset(self, 0, sizeof *self);
    self->port.fd = -1;
    self->n_axes = n_axes;
    self->stamp_ns = -1;
    /* Whoever started this program speaks for it: without that process it would move unheard. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    if (read_arguments(self, argc, argv, &run_dir) != 0 || open_port(self, run_dir, axes) != 0) return -1;
    for (uint32_t k = 0u; k < self->n_cameras; k++) {
        ds_camera *camera = &self->cameras[k];
        if (ds_ring_name(run_dir, camera->name, camera->ring, sizeof camera->ring) != 0 ||
            open_ring(self, camera) != 0) {
            (void)ds_close(self);
            return -1;
        }
    }
    return 0;
}

int ds_runs(const ds_driver *self) { return self->port.region != NULL && !stop_asked; }

int ds_write(ds_driver *self, dp_feedback *feedback) {
    if (feedback->stamp_ns <= self->stamp_ns) return fail(self, "stamp_ns is not after the last one: measure anew");
    if (feedback->stamp_ns > ds_now_ns() + FUTURE_MAX_NS)
        return fail(self, "stamp_ns is after now: stamps are of ds_now_ns()");
    self->stamp_ns = feedback->stamp_ns;
    feedback->n = self->n_axes;
    if (self->lapsed) feedback->flags |= DP_FLAG_DRIVER_FAULT;
    port_write_feedback(&self->port, feedback);
    return 0;
}

static int is_good(const ds_driver *self, const dp_command *command) {
    for (uint32_t k = 0u; k < self->n_axes; k++)
        if (!isfinite(command->q[k]) || !isfinite(command->dq[k])) return 0;
    return ds_now_ns() - command->stamp_ns <= (int64_t)self->watchdog_ns;
}

int ds_command(ds_driver *self, dp_command *command) {
    /* One that control is writing at this instant counts from the next time on: until then the last one. */
    if (port_read_command(&self->port, command) == DP_OK) {
        self->last = *command;
        self->has_last = 1u;
    }
    *command = self->last;
    if (!self->has_last || !dp_follows(command->state)) {
        self->follows = self->lapsed = 0u;
        return 0;
    }
    const int good = is_good(self, command);
    if (self->follows && !good) {
        self->lapsed = 1u;
        self->watchdog_stops++;
    }
    self->follows = good && !self->lapsed;
    return (int)self->follows;
}

int ds_close(ds_driver *self) {
    char path[DS_NAME_BYTES + 1];
    for (uint32_t k = 0u; k < self->n_cameras; k++) {
        ds_camera *camera = &self->cameras[k];
        if (camera->memory == NULL) continue;
        (void)snprintf(path, sizeof path, "/%s", camera->ring);
        (void)shm_unlink(path);
        (void)munmap(camera->memory, camera->bytes);
        camera->memory = camera->pixels = NULL;
    }
    if (self->port.region != NULL) {
        (void)snprintf(path, sizeof path, "/%s", self->name);
        (void)port_unlink(path);
        port_close(&self->port);
    }
    return 0;
}

/* ---- time ---------------------------------------------------------------------------------------------------- */

int64_t ds_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void ds_sleep_until(int64_t due_ns) {
    const struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000), .tv_nsec = (long)(due_ns % 1000000000)};
    /* A signal ends the wait early, and is looked at by ds_runs(). */
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}
