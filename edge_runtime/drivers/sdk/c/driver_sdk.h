/* A driver in C: the port, the frame rings, the watchdog and the end, in a dozen calls. See docs/guides/drivers.md.
 *
 * Guarantees: the region's name and the digest of the axes are made here, from the run's folder and the axes' names;
 * a command is handed out only while it may be followed, as driver_port.h says, and after a lapse of the watchdog not
 * before control has let go of the robot. Refuses to know: what hardware there is. Trusts: that one thread writes
 * feedback and reads commands, and that one thread fills the pictures of a camera.
 *
 * What travels on the bus (observations and heartbeats) is sent by a small process of Python that starts the program
 * and follows its port and rings: `DRIVER = native_driver(...)` in a driver.py. It passes the arguments that ds_open()
 * reads, ends the program with SIGTERM, and the program ends when that process does, however it does.
 *
 *     static const ds_axis AXES[] = {{"shoulder", 0}, {"elbow", 0}, {"wrist", 0}, {"gripper", 1}};
 *
 *     int main(int argc, char **argv) {
 *         ds_driver driver;
 *         if (ds_open(&driver, argc, argv, AXES, 4) != 0) {
 *             fprintf(stderr, "%s\n", driver.error);
 *             return 1;
 *         }
 *         for (int64_t due_ns = ds_now_ns(); ds_runs(&driver); ds_sleep_until(due_ns += 1000000)) {
 *             dp_feedback feedback = {.stamp_ns = ds_now_ns()};
 *             dp_command command;
 *             ... measure into feedback.q and dq ...
 *             if (ds_write(&driver, &feedback) != 0) break;
 *             if (ds_command(&driver, &command)) ... drive to command.q, a base at command.dq ...
 *             else ... hold, by the robot's own means ...
 *             for (uint32_t k = 0; k < driver.n_cameras; k++)
 *                 if (ds_camera_is_due(&driver, k)) {
 *                     ... fill driver.cameras[k].pixels ...
 *                     ds_commit(&driver, k, exposure_ns);
 *                 }
 *         }
 *         ... hold ...
 *         return ds_close(&driver);
 *     }
 *
 * Build: cc -O2 -o my_driver my_driver.c $(python -m edge_runtime.drivers.sdk.c), which prints where this header and
 * its sources lie. C11 with GNU extensions, Linux; from C++ compile the printed sources as C.
 */
#ifndef EDGE_RUNTIME_DRIVER_SDK_H
#define EDGE_RUNTIME_DRIVER_SDK_H

#include <stddef.h>
#include <stdint.h>

#include "driver_port.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DS_MAX_CAMERAS 8
#define DS_SLOTS 8
#define DS_NAME_BYTES 128
#define DS_ERROR_BYTES 256
#define DS_DIGEST_HEX_BYTES 65

/* One camera of the embodiment, with its ring. */
typedef struct {
    char name[64];
    uint32_t width_px, height_px;
    int64_t interval_ns;
    uint8_t *pixels; /* the picture to come: (height_px, width_px, 3) RGB, row-major; another place after each commit */
    /* private */
    char ring[DS_NAME_BYTES];
    uint8_t *memory;
    size_t bytes;
    uint32_t slot;
    int64_t due_ns, last_ns;
} ds_camera;

/* One axis, as embodiment.toml has it. */
typedef struct {
    const char *name;
    uint32_t is_gripper;
} ds_axis;

typedef struct {
    char error[DS_ERROR_BYTES]; /* one line for a person, after a call that has failed */
    port port;
    uint64_t watchdog_ns;
    uint32_t n_axes;
    uint32_t n_cameras;
    ds_camera cameras[DS_MAX_CAMERAS];
    uint64_t watchdog_stops; /* how often commands ceased while they were followed */
    /* private */
    char name[DS_NAME_BYTES];
    int64_t stamp_ns;
    dp_command last;
    uint32_t has_last, follows, lapsed;
} ds_driver;

/* Makes the port and a ring for each camera. Reads --run-dir DIR, --watchdog-ns N, --realtime-priority P (a priority
 * that may be refused) and --camera NAME:WIDTHxHEIGHT:RATE_HZ, any number of these. `axes` are those of the
 * robot in the order of every vector, grippers and a base among them: control refuses a driver whose order is not its own.
 * Catches SIGTERM and SIGINT. 0, or -1 with `error`. */
int ds_open(ds_driver *self, int argc, char *const *argv, const ds_axis *axes, uint32_t n_axes);

/* Whether nobody has asked for the end yet. */
int ds_runs(const ds_driver *self);

/* Publishes what was measured at feedback->stamp_ns, of ds_now_ns(); sets seq, n, and a fault flag after a lapse of the
 * watchdog. 0, or -1 with `error`: the stamp is not after the last one, or after now. */
int ds_write(ds_driver *self, dp_feedback *feedback);

/* 1: drive joints and grippers to command->q, a base at command->dq. 0: hold, by the robot's own means. Ask in every cycle. */
int ds_command(ds_driver *self, dp_command *command);

/* Whether the time for the next picture of this camera has come, by its rate. */
int ds_camera_is_due(ds_driver *self, uint32_t camera);

/* Declares `pixels` whole, exposed at exposure_ns of ds_now_ns(). 0, or -1 with `error`: it was not exposed after the
 * last one, or after now. */
int ds_commit(ds_driver *self, uint32_t camera, int64_t exposure_ns);

/* Removes the port and the rings; 0, so that main can return it. */
int ds_close(ds_driver *self);

int64_t ds_now_ns(void);
void ds_sleep_until(int64_t due_ns);

/* For whoever needs the names without the rest. Each 0, or -1: no such folder, or a name that is too long. */
int ds_port_name(const char *run_dir, char *name, size_t bytes);
int ds_ring_name(const char *run_dir, const char *camera, char *name, size_t bytes);
/* As Embodiment.joint_digest of contracts/embodiment.py. */
void ds_joint_digest(const ds_axis *axes, uint32_t n_axes, uint8_t digest[DP_DIGEST_BYTES]);
void ds_sha256(const void *data, size_t bytes, uint8_t digest[DP_DIGEST_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
