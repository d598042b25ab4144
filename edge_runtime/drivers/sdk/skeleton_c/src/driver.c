/* The driver of my_arm: a made-up arm that goes where it is told. Replace what touches `arm` by your hardware. */
#include <stdio.h>
#include <string.h>

#include "driver_sdk.h"

#define CYCLE_NS 1000000
#define N_AXES 4

/* In the order of embodiment.toml, which control compares. */
static const ds_axis AXES[N_AXES] = {{"shoulder", 0}, {"elbow", 0}, {"wrist", 0}, {"gripper", 1}};

typedef struct {
    double q[N_AXES], dq[N_AXES]; /* rad, and of the gripper m between the fingers */
    double target[N_AXES];
    int64_t read_ns;
} echo_arm;

static void measure(echo_arm *arm, dp_feedback *feedback) {
    feedback->stamp_ns = ds_now_ns();
    const double elapsed_s = (double)(feedback->stamp_ns - arm->read_ns) * 1e-9;
    arm->read_ns = feedback->stamp_ns;
    for (int k = 0; k < N_AXES; k++) {
        arm->dq[k] = (arm->target[k] - arm->q[k]) / (elapsed_s > 5e-4 ? elapsed_s : 5e-4);
        arm->q[k] = arm->target[k];
        feedback->q[k] = arm->q[k];
        feedback->dq[k] = arm->dq[k];
    }
}

static void follow(echo_arm *arm, const dp_command *command) {
    memcpy(arm->target, command->q, sizeof arm->target);
}

/* Called in every cycle without a command to follow, also when control has died. */
static void hold(echo_arm *arm) { memcpy(arm->target, arm->q, sizeof arm->target); }

/* Whatever the camera sees, with the instant of its exposure. */
static int take_picture(ds_driver *driver, uint32_t number) {
    const ds_camera *camera = &driver->cameras[number];
    const int64_t exposure_ns = ds_now_ns();
    memset(camera->pixels, (int)(exposure_ns >> 24 & 0x7f) + 1, (size_t)camera->width_px * camera->height_px * 3u);
    return ds_commit(driver, number, exposure_ns);
}

int main(int argc, char **argv) {
    ds_driver driver;
    echo_arm arm = {.q = {0.0, 0.5, -0.5, 0.0}, .target = {0.0, 0.5, -0.5, 0.0}};
    int failed = ds_open(&driver, argc, argv, AXES, N_AXES);
    for (int64_t due_ns = ds_now_ns(); !failed && ds_runs(&driver); ds_sleep_until(due_ns += CYCLE_NS)) {
        dp_feedback feedback = {.stamp_ns = 0};
        dp_command command;
        measure(&arm, &feedback);
        failed = ds_write(&driver, &feedback);
        if (ds_command(&driver, &command))
            follow(&arm, &command);
        else
            hold(&arm);
        for (uint32_t k = 0u; k < driver.n_cameras && !failed; k++)
            if (ds_camera_is_due(&driver, k)) failed = take_picture(&driver, k);
    }
    hold(&arm);
    if (failed) fprintf(stderr, "error: %s\n", driver.error);
    (void)ds_close(&driver);
    return failed ? 1 : 0;
}
