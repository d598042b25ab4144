/* Questions about the parts of the kernel, asked directly, where a bound can be met to the bit: just inside, on it and
 * just outside. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "battery.h"
#include "motion.h"

#define MS 1000000
#define ON(x) {(x) - (x) * (DBL_EPSILON / 2), (x), (x) + (x) * DBL_EPSILON, -((x) - (x) * (DBL_EPSILON / 2)), -(x), -((x) + (x) * DBL_EPSILON)}

static kernel_config config;
static kernel_state state;
static kernel_feedback feedback;
static kernel_setpoint setpoint;
static const kernel_base nowhere;

static void stand(int with_geometry) {
    battery_round_robot(&config, with_geometry);
    memset(&feedback, 0, sizeof feedback);
    memset(&setpoint, 0, sizeof setpoint);
    kernel_init(&state, &config);
    feedback.present = setpoint.present = 1u;
    feedback.n = setpoint.n = config.n_axes;
    feedback.watchdog_ns = 100 * MS;
    feedback.has_torque = feedback.has_odometry = 1u;
    feedback.has_wrench = 15u;
    setpoint.speed_scale = 1.0;
    feedback.seq = 1u;
    feedback.stamp_ns = 1;
    double *const fields[] = {feedback.q, feedback.dq, feedback.tau, setpoint.q, state.q, state.dq, state.ddq, state.left, state.measured};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) battery_junk(fields[k], config.n_axes);
}

/* The tool of the straight arm moves at exactly the speed that is still let pass, and a hair faster. */
static void ask_tool(uint32_t variant, answer *a) {
    for (int k = -2; k < 3; k++) {
        profile_state joints[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stop_certificate stop;
        uint32_t poses = 8u;
        stand(1);
        const double limit = 0.25 * (double)(variant % 3u + 1u);
        joints[variant / 3u].v = limit * (1.0 + 1e-11) * (variant / 3u ? 2.0 : 1.0);
        for (int step = 0; step < (k < 0 ? -k : k); step++)
            joints[variant / 3u].v = nextafter(joints[variant / 3u].v, k < 0 ? 0.0 : 9.0);
        config.dq_max[0] = config.dq_max[1] = 4.0;
        answer_whole(a, (int64_t)verify_stop(&config, limit, &nowhere, joints, &poses, &stop));
        answer_whole(a, poses);
    }
}

static void ask_following(answer *a) {
    kernel_state s = state;
    answer_whole(a, (int64_t)check_following(&s, &config, &feedback));
    answer_bytes(a, &s, sizeof s);
}

static void ask_checks(uint32_t variant, answer *a) {
    const double apart_s = (double)(20 * MS / 6 + MS) * 1e-9;
    const double frozen = 0.03125 + 0.25 * 8.0 * apart_s * apart_s;
    const double tracking[] = ON(0.25), travel[] = ON(frozen), torque[] = ON(16.0), step[] = ON(0.5);
    /* Three ticks, to the nearest one. */
    static const int64_t lasted[] = {0, 3 * MS / 2 - 1, 3 * MS / 2, 3 * MS / 2 + 1, 9 * MS};
    const uint32_t joint = variant % 2u;
    stand(0);
    for (int k = 0; k < 6; k++) {
        stand(0);
        feedback.q[joint] = tracking[k];
        ask_following(a);
        stand(0);
        /* The measurement has not changed; the command has, before this was sampled, or seen before. */
        for (uint32_t place = 0; place < KERNEL_TRAIL; place++) state.trail[place][joint] = travel[k];
        ask_following(a);
        feedback.seq = 0u;
        ask_following(a);
        feedback.seq = 1u;
        feedback.stamp_ns = 0;
        ask_following(a);
        feedback.stamp_ns = 1;
        state.shown_least[joint] = 0.015625;
        ask_following(a);
        state.shown_most[joint] = 0.015625;
        ask_following(a);
        feedback.q[joint] = 1e-9;
        ask_following(a);
        stand(0);
        feedback.tau[joint] = torque[k];
        state.torque_since_ns = 1 - lasted[variant / 2u];
        for (state.over_torque = 0u; state.over_torque < 2u; state.over_torque++) ask_following(a);
        config.debounce_ticks = 1u;
        ask_following(a);
        feedback.has_torque = 0u;
        ask_following(a);
        stand(0);
        state.over_force = (uint32_t)k % 2u;
        state.force_since_ns = 1 - lasted[variant / 2u];
        for (uint32_t axis = 0; axis < 6u; axis++) {
            const double limit[] = ON(axis < 3u ? 40.0 : 10.0);
            const uint32_t t = (variant + axis) % KERNEL_MAX_TOOLS;
            for (feedback.has_wrench = 0u; feedback.has_wrench < 16u; feedback.has_wrench++) {
                feedback.wrench[t][axis] = limit[k];
                ask_following(a);
                answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
            }
            feedback.has_wrench = 15u;
            feedback.wrench[t][axis] = axis < 3u ? 24.0 : 6.0;
            feedback.wrench[t][axis < 3u ? (axis + 1u) % 3u : 3u + (axis + 1u) % 3u] = axis < 3u ? 32.0 : 8.0;
            ask_following(a);
            feedback.wrench[t][axis] = NAN;
            answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
            memset(feedback.wrench, 0, sizeof feedback.wrench);
        }
        stand(0);
        state.q[joint] = 0.25;
        setpoint.q[joint] = 0.25 + step[k];
        setpoint.q[1u - joint] = 0.0;
        answer_whole(a, (int64_t)check_values(&state, &config, &setpoint));
        setpoint.q[joint] = k % 2 ? NAN : INFINITY;
        answer_whole(a, (int64_t)check_values(&state, &config, &setpoint));
    }
}

/* Samples from before, between and after the commands that are remembered, and others before them. */
static void ask_trail(uint32_t variant, answer *a) {
    static const int64_t stamps_ns[] = {1, 0, -1, -5, -10, -11, -25, -30, -59, -60, -61, -69, -70, -71, -100, INT64_MIN};
    const size_t count = sizeof stamps_ns / sizeof *stamps_ns;
    for (size_t n = 0; n < count * count; n++) {
        stand(0);
        for (int32_t k = 0; k < KERNEL_TRAIL; k++) {
            state.trail_ns[k] = variant == 1u ? 0 : -10 * k;
            state.trail[k][0] = 0.0078125 * (double)(k * k);
            state.trail[k][1] = variant == 2u ? 0.001 * (double)k : -0.3 + 0.1 * (double)(k * 5 % 8);
        }
        if (variant == 3u) state.trail_ns[0] = INT64_MAX, state.trail_ns[7] = INT64_MIN;
        state.feedback_stamp_ns = stamps_ns[n / count];
        state.measured[0] = state.measured[1] = 1.0;
        feedback.stamp_ns = stamps_ns[n % count];
        ask_following(a);
    }
}

/* The axis is of this kind from now on. */
static void as_kind(uint32_t i, kernel_axis_kind kind) {
    config.axis_kind[i] = kind;
    if (kind == KERNEL_AXIS_CONTINUOUS) config.q_min[i] = -1e5, config.q_max[i] = 1e5;
    if (kind == KERNEL_AXIS_VELOCITY) config.base_axis[i] = (int32_t)i;
}

/* Everything about what is measured and asked for of an axis of another kind. */
static void ask_kinds(uint32_t variant, answer *a) {
    const kernel_axis_kind kind = (kernel_axis_kind)(1u + variant % 3u);
    const uint32_t i = variant / 3u % 2u;
    const double turn = 6.283185307179586;
    const double apart_s = (double)(20 * MS / 6 + MS) * 1e-9;
    const double apart[] = ON(0.25), effort[] = ON(16.0), step[] = ON(0.5), travel[] = ON(0.03125 + 0.25 * 512.0 * apart_s * apart_s);
    const double far[] = ON(1e6), odometry[] = ON(1e5);
    static const double half[] = {3.1, 3.2, -3.1, -3.2, 9.3, 9.5};
    for (int k = 0; k < 6; k++)
        for (uint32_t way = 0; way < 12u; way++) {
            stand(0);
            as_kind(i, kind);
            config.tau_max[i] = 16.0;
            feedback.q[i] = way == 0u ? apart[k] : way == 1u ? turn + apart[k] : way == 2u ? far[k] : 0.0;
            if (way == 3u) feedback.q[i] = half[k];
            feedback.dq[i] = way == 4u ? apart[k] : 0.0;
            feedback.tau[i] = way == 5u ? effort[k] : 0.0;
            if (way == 6u) feedback.tau[i] = effort[k], feedback.has_torque = 0u;
            if (way == 7u) feedback.q[i] = 1.0, state.apart_ticks[i] = (uint32_t)k;
            if (way == 8u)
                for (uint32_t place = 0; place < KERNEL_TRAIL; place++) state.trail[place][i] = travel[k];
            if (way == 9u) state.measured[i] = 0.5, state.over_grip = 7u;
            if (way == 10u) config.closes_up = 3u, state.over_grip = 3u;
            if (way == 11u) state.over_grip = 3u;
            ask_following(a);
            answer_number(a, near_turn(feedback.q[i], half[k]));
            setpoint.q[i] = way == 0u ? step[k] : way == 1u ? turn + step[k] : way == 2u ? far[k] : half[k];
            state.dq[i] = way == 3u ? setpoint.q[i] + step[k] : 0.0;
            answer_whole(a, (int64_t)check_values(&state, &config, &setpoint));
            answer_number(a, setpoint_of(&state, &config, &setpoint, i));
            answer_number(a, told_now(&state, &config, i));
            motion_result result = {.speed_scale = 1.0};
            state.ddq[i] = way == 3u ? 4.0 : 0.0;
            motion_follow(&state, &config, &setpoint, &result);
            answer_bytes(a, &state, sizeof state);
            answer_whole(a, (int64_t)result.reasons);
            stand(1);
            config.geometry.has_base = config.has_odometry = way != 1u;
            if (way == 2u) config.has_odometry = 0u;
            if (way == 3u) config.geometry.n_planes = 0u;
            if (way == 4u) config.geometry.n_keepouts = 0u;
            if (way == 5u) config.geometry.n_planes = config.geometry.n_keepouts = 0u;
            feedback.has_odometry = way != 6u;
            feedback.odometry[k % 3] = odometry[k];
            answer_whole(a, needs_odometry(&config));
            answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
            feedback.odometry[(k + 1) % 3] = way == 7u ? NAN : 0.0;
            feedback.odometry[k % 3] = 0.5;
            answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
            locate_base(&state, &config, &feedback);
            answer_bytes(a, &state, sizeof state);
        }
}

/* Where odometry begins to be none, along each of its three; and what stands behind the last tool and the last of them. */
static void ask_odometry(uint32_t variant, answer *a) {
    const double edge[] = ON(1e5), beyond[] = {1e5 + 0.5, 1e5 - 0.5, -1e5 - 0.5, 0.5 - 1e5};
    for (uint32_t k = 0; k < 10u; k++) {
        stand(1);
        config.geometry.has_base = config.has_odometry = 1u;
        feedback.odometry[variant] = k < 6u ? edge[k] : beyond[k - 6u];
        answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
    }
    stand(0);
    const double none = NAN;
    memcpy(&feedback.watchdog_ns, &none, sizeof none);
    answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
    feedback.has_wrench = 1u << KERNEL_MAX_TOOLS;
    feedback.has_odometry = 0u;
    feedback.odometry[variant] = NAN;
    answer_whole(a, (int64_t)check_feedback(&state, &config, &feedback, 0));
    feedback.odometry[variant] = 100.0;
    config.debounce_ticks = 1u;
    ask_following(a);
}

/* One tick, and each request, in every state, with one thing wrong. */
static void ask_trips(uint32_t variant, answer *a) {
    for (uint32_t at = 0; at < KERNEL_STATE_COUNT; at++)
        for (uint32_t what = 0; what < 8u; what++)
            for (uint32_t request = 0; request < 7u; request++) {
                kernel_verdict verdict;
                stand(variant > 0u);
                config.debounce_ticks = 1u;
                config.geometry.has_base = config.has_odometry = variant > 1u;
                state.state = at;
                state.has_command = 1u;
                for (uint32_t k = 0; k < 3u; k++) state.odometry[k] = 0.25;
                if (what == 0u) feedback.has_odometry = 0u;
                if (what == 1u) feedback.tau[0] = 17.0;
                if (what == 2u) feedback.wrench[0][1] = 41.0;
                if (what == 3u) feedback.wrench[3][4] = 11.0;
                if (what == 4u) feedback.odometry[0] = NAN;
                if (what == 5u) feedback.q[0] = 0.3;
                if (what == 6u) feedback.stop_line = 1u;
                if (request) answer_whole(a, kernel_request(&state, &config, &feedback, request, 0));
                kernel_step(&state, &config, &feedback, &setpoint, 2, &verdict);
                answer_bytes(a, &state, sizeof state);
                answer_bytes(a, &verdict, sizeof verdict);
            }
}

/* Whether a robot may be armed where its odometry says that it stands: too near to a zone, or with room to spare. */
static void ask_places(uint32_t variant, answer *a) {
    static const double places[][3] = {{0.5, 0, 0}, {1.2, 0, 0}, {0, 1.2, 1.6}, {0, 1.2, 0}, {0, 0.5, 1.6}, {1.2, 0, 1.6}};
    for (uint32_t k = 0; k < 6u; k++) {
        stand(1);
        config.geometry.has_base = config.has_odometry = variant;
        config.geometry.n_pairs = 0u;
        state.state = KERNEL_READY;
        memcpy(feedback.odometry, places[k], sizeof feedback.odometry);
        answer_whole(a, kernel_request(&state, &config, &feedback, KERNEL_REQUEST_ARM, 0));
        answer_bytes(a, &state, sizeof state);
    }
}

/* A robot with as many axes as there can be, of any kind. */
static void ask_many(uint32_t variant, answer *a) {
    uint64_t random = 3u + variant;
    stand(0);
    battery_widen(&config);
    kernel_init(&state, &config);
    feedback.n = setpoint.n = config.n_axes;
    for (uint32_t i = 0; i < config.n_axes; i++) {
        config.axis_kind[i] = variant < 4u ? variant : i % 4u;
        if (config.axis_kind[i] == KERNEL_AXIS_CONTINUOUS) config.q_min[i] = -1e5, config.q_max[i] = 1e5;
        state.q[i] = state.dq[i] = state.ddq[i] = state.left[i] = state.measured[i] = 0.0;
        feedback.q[i] = feedback.dq[i] = feedback.tau[i] = setpoint.q[i] = 0.0;
    }
    for (int k = 0; k < 40; k++) {
        kernel_verdict verdict;
        feedback.seq++;
        feedback.stamp_ns = setpoint.stamp_ns = setpoint.observation_ns = (int64_t)k * MS;
        setpoint.seq++;
        for (uint32_t i = 0; i < config.n_axes; i++) setpoint.q[i] += fuzz_uniform(&random, -1e-6, 1e-6);
        kernel_step(&state, &config, &feedback, &setpoint, (int64_t)k * MS, &verdict);
        if (k == 2) answer_whole(a, kernel_request(&state, &config, &feedback, KERNEL_REQUEST_ARM, (int64_t)k * MS));
        answer_bytes(a, &state, sizeof state);
        answer_bytes(a, &verdict, sizeof verdict);
    }
}

/* An arm of as many joints, each with an axis of its own, that carries the tool. */
static void ask_long_arm(uint32_t variant, answer *a) {
    static geometry_model model;
    double q[KERNEL_MAX_AXES];
    geometry_pose pose;
    stand(1);
    model = config.geometry;
    const uint32_t n = variant < 6u ? variant + 1u : KERNEL_MAX_AXES;
    model.n_joints = n;
    model.n_axes = KERNEL_MAX_AXES;
    for (uint32_t i = 0; i < n; i++) {
        model.joints[i] = model.joints[1];
        model.joints[i].parent = (int32_t)i - 1;
        model.joints[i].axis = (int32_t)(variant % 2u ? i : n - 1u - i);
        model.joints[i].offset_m[i % 3u] = 0.125;
        model.joints[i].slides = i % 5u == 3u;
        if (i % 2u) memcpy(model.joints[i].rotation, (const double[]){1, 0, 0, 0, 0, -1, 0, 1, 0}, sizeof model.joints[i].rotation);
        q[i] = 0.1 * (double)(i + 1u);
    }
    for (uint32_t i = n; i < KERNEL_MAX_AXES; i++) q[i] = 0.25;
    model.tools[0].link = (int32_t)n - 1;
    for (uint32_t k = 0; k < 3u; k++) {
        /* The last of them goes with the first one's axis. */
        if (k == 1u && n > 2u) model.joints[n - 1u].axis = model.joints[0].axis;
        if (k == 2u) model.joints[n / 2u].ratio = -0.5;
        geometry_pose_at(&model, nowhere.pose, q, &pose);
        answer_number(a, geometry_manipulability(&model, &pose, 0u));
    }
}

/* What is told of a geometry without a capsule. */
static void ask_bare(uint32_t variant, answer *a) {
    stand(1);
    geometry_model *g = &config.geometry;
    g->n_capsules = g->n_pairs = 0u;
    if (variant) memset(g->tool_reach_m, 0, sizeof g->tool_reach_m);
    geometry_derive(g);
    answer_bytes(a, g, sizeof *g);
}

/* Told to go where, of all accelerations that are tried, one lands to the bit. */
static void ask_landing(uint32_t variant, answer *a) {
    const double sign = variant ? -1.0 : 1.0;
    for (uint32_t n = 1; n < 65u; n++) {
        motion_result result = {.speed_scale = 1.0};
        stand(0);
        config.tick_ns = 1953125; /* a power of two of seconds */
        state.has_target = 1u;
        state.target[0] = setpoint.q[0] = sign * (double)n * 0x1p-22;
        motion_follow(&state, &config, &setpoint, &result);
        answer_bytes(a, &state, sizeof state);
        answer_whole(a, (int64_t)result.reasons);
    }
}

/* A base at the speed that is in force, told to drive faster by what still counts as there, to the bit. */
static void ask_touch(uint32_t variant, answer *a) {
    const double sign = variant % 2u ? -1.0 : 1.0;
    for (int k = -2; k < 3; k++)
        for (int wide = 0; wide < 2; wide++) {
            motion_result result = {.speed_scale = 1.0};
            stand(0);
            as_kind(0u, KERNEL_AXIS_VELOCITY);
            config.dq_max[0] = wide ? 1953125.0 / 2097152.0 : 4.0;
            const double least = wide ? 0x1p-30 : 4e-9 * (k < 0 ? 0.5 : 1.5);
            setpoint.speed_scale = 0.5;
            state.has_target = 1u;
            state.dq[0] = state.target[0] = sign * 0.5 * config.dq_max[0];
            setpoint.q[0] = sign * (0.5 * config.dq_max[0] + least + (double)k * 0x1p-52);
            motion_follow(&state, &config, &setpoint, &result);
            answer_bytes(a, &state, sizeof state);
            answer_whole(a, (int64_t)result.reasons);
        }
}

/* A stop that begins at exactly what a falling limit allows there, or a hair faster. */
static void ask_hair(uint32_t variant, answer *a) {
    const double side = variant ? 1.0 : -1.0;
    for (int k = -1; k < 2; k++) {
        profile_state axes[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stop_certificate stop;
        uint32_t poses = 1u;
        stand(0);
        config.dq_max[0] = 4.0;
        config.q_min[0] = -9.0, config.q_max[0] = 9.0;
        config.end_speed_slope[variant][0] = 4.0;
        config.end_speed_zero[variant][0] = side;
        const double most = end_speed(&config, variant, 0u, 0.0) * (1.0 + 1e-11) + 1e-11 * config.dq_max[0];
        axes[0].v = side * (k == 0 ? most : nextafter(most, k < 0 ? 0.0 : 9.0));
        axes[0].a = -side * 8.0;
        answer_whole(a, (int64_t)verify_stop(&config, 1.0, &nowhere, axes, &poses, &stop));
    }
}

/* Stops that swing back while a limit falls, which they hardly keep. */
static void ask_swings(uint32_t variant, answer *a) {
    uint64_t random = 17u + variant;
    for (uint32_t n = 0; n < 200u; n++) {
        profile_state axes[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stop_certificate stop;
        uint32_t poses = 1u;
        const uint32_t end = n % 2u;
        const double side = fuzz_below(&random, 2u) ? 1.0 : -1.0;
        stand(0);
        config.dq_max[0] = 4.0;
        config.dddq_max[0] = n % 3u ? 64.0 : 512.0;
        config.q_min[0] = -9.0, config.q_max[0] = 9.0;
        const profile_limits limits = axis_limits(&config, 0u);
        stop_profile profile;
        axes[0].v = side * fuzz_uniform(&random, 0.0, 0.3);
        axes[0].a = side * (fuzz_below(&random, 2u) ? -fuzz_uniform(&random, 0.0, 8.0) : fuzz_uniform(&random, 0.0, 8.0));
        stop_profile_of(axes[0], &limits, &profile);
        config.end_speed_slope[end][0] = fuzz_uniform(&random, 0.1, 30.0);
        double q, v;
        stop_profile_at(&profile, profile.peak_tick, limits.tick, &q, &v);
        const double room = v * v / config.end_speed_slope[end][0] * fuzz_uniform(&random, 0.9, 1.3);
        config.end_speed_zero[end][0] = end ? q + room : q - room;
        answer_whole(a, (int64_t)verify_stop(&config, 1.0, &nowhere, axes, &poses, &stop));
    }
}

/* What a base was told since its odometry was sampled. */
static void ask_base(uint32_t variant, answer *a) {
    uint64_t random = 11u + variant;
    for (uint32_t n = 0; n < 60u; n++) {
        stop_certificate stop;
        uint32_t poses = 1u + fuzz_below(&random, 30u);
        profile_state axes[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stand(1);
        config.geometry.has_base = config.has_odometry = n % 9u != 8u;
        config.n_axes = config.geometry.n_axes = 5u;
        for (uint32_t i = 2u; i < 5u; i++) {
            config.axis_kind[i] = KERNEL_AXIS_VELOCITY;
            config.dq_max[i] = 1.0, config.ddq_max[i] = 8.0, config.dddq_max[i] = 512.0;
            config.base_axis[i - 2u] = n % 5u == i ? -1 : (int32_t)i;
            if (variant % 2u) config.base_axis[i - 2u] = n % 5u == i ? -1 : (int32_t)i - 2;
            if (fuzz_below(&random, 2u)) axes[i].v = fuzz_uniform(&random, -1.0, 1.0);
            if (fuzz_below(&random, 4u) == 0u) axes[i].a = fuzz_uniform(&random, -8.0, 8.0);
            if (fuzz_below(&random, 9u) == 0u) axes[i].v = 1.0 + (double)fuzz_below(&random, 4u) * 0.5e-11;
            axes[i].q = fuzz_uniform(&random, -0.5, 0.5);
        }
        for (uint32_t i = 0; i < 2u; i++) axes[i].v = n % 3u ? 0.0 : fuzz_uniform(&random, -0.5, 0.5);
        if (variant % 2u)
            /* The axes of the base come first, and the joints after them. */
            for (uint32_t i = 0; i < 5u; i++) {
                config.axis_kind[i] = i < 3u ? KERNEL_AXIS_VELOCITY : KERNEL_AXIS_BOUNDED;
                if (i < 2u) config.geometry.joints[i].axis = (int32_t)i + 3;
                config.dq_max[i] = 1.0, config.ddq_max[i] = 8.0, config.dddq_max[i] = 512.0;
                config.q_min[i] = -1.0, config.q_max[i] = 1.0;
            }
        geometry_derive(&config.geometry);
        for (int32_t k = 0; k < KERNEL_TRAIL; k++) {
            state.trail_ns[k] = -3 * MS * k;
            for (uint32_t i = 0; i < 5u; i++) state.trail_path[k][i] = i > 2u ? -0.01 * (double)k : fuzz_uniform(&random, -0.1, 0.1);
        }
        for (uint32_t i = 0; i < 5u; i++) state.path[i] = i > 2u ? 0.01 : axes[i % 3u + 2u].q;
        for (uint32_t i = 0; i < 3u; i++) state.odometry[i] = fuzz_uniform(&random, -0.5, 0.5);
        state.feedback_stamp_ns = -(int64_t)fuzz_below(&random, 20u * MS);
        carry_base(&state, &config);
        answer_bytes(a, &state, sizeof state);
        const double limit = fuzz_below(&random, 3u) ? 100.0 : fuzz_uniform(&random, 0.1, 3.0);
        answer_whole(a, (int64_t)verify_stop(&config, limit, &state.base, axes, &poses, &stop));
        answer_whole(a, poses);
        answer_number(a, stop.margin_m);
        answer_number(a, stop.margin);
        answer_number(a, stop.ticks);
        config.tool_speed_max_m_s[n % 2u] = fuzz_uniform(&random, 0.1, 2.0);
        config.geometry.n_tools = n % 3u;
        config.geometry.tools[1].link = n % 2u ? -1 : 0;
        geometry_derive(&config.geometry);
        poses = 30u;
        answer_whole(a, (int64_t)verify_stop(&config, limit, &state.base, axes, &poses, &stop));
        answer_whole(a, poses);
        kernel_init(&state, &config);
        answer_bytes(a, &state, sizeof state);
        answer_number(a, posture_speed_scale(&config, axes[0].v > 0.0 ? (const double[]){0.1, 0.5, 0, 0, 0} : (const double[]){0.3, 0.02, 0, 0, 0}));
    }
}

/* Velocity limits that fall: along whole stops, and at ticks where they are met to a hair. */
static void ask_ends(uint32_t variant, answer *a) {
    uint64_t random = 7u + variant;
    for (uint32_t n = 0; n < 80u; n++) {
        stop_certificate stop;
        stop_profile profile;
        uint32_t poses = 1u;
        profile_state axes[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        const uint32_t end = fuzz_below(&random, 2u);
        const double side = end ? 1.0 : -1.0;
        stand(0);
        config.dq_max[0] = 4.0;
        const profile_limits limits = axis_limits(&config, 0u);
        axes[0].q = fuzz_uniform(&random, -0.5, 0.5);
        axes[0].v = fuzz_uniform(&random, 0.0, 1.5) * (fuzz_below(&random, 6u) ? side : -side);
        if (fuzz_below(&random, 3u) == 0u) axes[0].a = fuzz_uniform(&random, -8.0, 8.0);
        if (fuzz_below(&random, 9u) == 0u) axes[0].v = 0.0;
        if (fuzz_below(&random, 6u) == 0u) axes[0].v *= 1e-3, axes[0].a = -8.0 * (axes[0].v > 0.0 ? 1.0 : -1.0);
        stop_profile_of(axes[0], &limits, &profile);
        config.q_min[0] = -9.0, config.q_max[0] = 9.0;
        config.end_speed_slope[end][0] = fuzz_uniform(&random, 1.0, 30.0);
        config.end_speed_offset[end][0] = fuzz_below(&random, 2u) ? 0.0 : 0.25;
        /* The limit is met at one tick of the stop, or missed there by a hair. */
        double q, v;
        stop_profile_at(&profile, fuzz_below(&random, profile.ticks + 1u), limits.tick, &q, &v);
        const double root = (fabs(v) + config.end_speed_offset[end][0]) * (1.0 + ((double)fuzz_below(&random, 5u) - 2.0) * 1e-11);
        const double more = fuzz_below(&random, 3u) ? 0.0 : fuzz_uniform(&random, -0.01, 0.05);
        config.end_speed_zero[end][0] = q + side * (root * root / config.end_speed_slope[end][0] + more);
        answer_whole(a, (int64_t)verify_stop(&config, 1.0, &nowhere, axes, &poses, &stop));
        answer_number(a, stop.margin);
        answer_number(a, end_speed(&config, end, 0u, q));
        answer_number(a, end_speed(&config, end, 0u, q + side));
        answer_number(a, end_speed(&config, 1u - end, 0u, q));
        /* And on the way there. */
        state.q[0] = axes[0].q, state.dq[0] = axes[0].v, state.ddq[0] = axes[0].a;
        setpoint.q[0] = axes[0].q + side * fuzz_uniform(&random, 0.0, 0.4);
        if (fuzz_below(&random, 3u) == 0u) {
            setpoint.q[0] = axes[0].q + limits.tick * axes[0].v;
            state.has_target = 1u;
            state.target[0] = axes[0].q;
            state.target_speed[0] = axes[0].v;
        }
        for (int k = 0; k < 20; k++) {
            motion_result result = {.speed_scale = 1.0};
            motion_follow(&state, &config, &setpoint, &result);
            answer_bytes(a, &state, sizeof state);
            answer_whole(a, (int64_t)result.reasons);
            answer_number(a, result.accepted);
        }
    }
}

/* A base told to drive by exactly what a limit allows, and by a hair more. */
static void ask_drive(uint32_t variant, answer *a) {
    static const double hairs[] = {0.0, 0.5e-9, 0.999999999e-9, 1e-9, 1.000000001e-9, 2e-9, 1e-6, -1e-9};
    for (uint32_t n = 0; n < 8u * 12u; n++) {
        motion_result result = {.speed_scale = 1.0};
        const double hair = 1.0 + hairs[n % 8u], sign = n / 8u % 2u ? -1.0 : 1.0;
        stand(0);
        as_kind(0u, KERNEL_AXIS_VELOCITY);
        state.has_target = variant % 2u;
        state.dq[0] = n / 16u % 3u == 0u ? 0.0 : sign * 0.5;
        state.ddq[0] = n / 16u % 3u == 2u ? sign * 4.0 : 0.0;
        state.target[0] = state.dq[0] + (variant % 3u == 2u ? sign * 1e-3 : 0.0);
        setpoint.q[0] = state.target[0] + sign * (n / 48u ? 8.0e-3 : 0.512e-3) * hair;
        if (variant % 5u == 4u) setpoint.q[0] = sign * hair;
        if (variant % 7u == 6u) setpoint.q[0] = state.dq[0] + sign * 1e-9 * hair;
        if (variant % 8u == 7u) setpoint.q[0] = -sign * 0.25;
        setpoint.speed_scale = variant % 4u == 3u ? 0.5 : 1.0;
        for (int k = 0; k < 12; k++) {
            result = (motion_result){.speed_scale = 1.0};
            motion_follow(&state, &config, &setpoint, &result);
            answer_bytes(a, &state, sizeof state);
            answer_whole(a, (int64_t)result.reasons);
            answer_number(a, result.accepted);
            if (k == 5 && variant % 2u) setpoint.q[0] += sign * 1e-3;
        }
        for (int k = 0; k < 4; k++) {
            motion_brake(&state, &config, &result);
            answer_bytes(a, &state, sizeof state);
        }
    }
}

static void ask_requests(uint32_t variant, answer *a) {
    /* Exact sums: so far outside is still in order. */
    const double beside[] = ON(1.0078125), left[] = ON(0.0078125);
    const double tolerance[] = ON(0.0625), side[] = ON(1.0);
    const uint32_t joint = variant % 2u;
    for (int k = 0; k < 6; k++)
        for (uint32_t request = 0; request < 7u; request++)
            for (uint32_t at = 0; at < KERNEL_STATE_COUNT; at++)
                for (uint32_t what = 0; what < 16u; what++) {
                    stand(variant > 1u);
                    state.state = at;
                    state.has_command = what != 3u;
                    state.faults = 8u;
                    state.has_target = state.over_torque = state.over_force = 1u;
                    state.dq[joint] = state.ddq[joint] = 0.5;
                    if (variant > 3u) as_kind(joint, (kernel_axis_kind)(variant / 2u - 1u));
                    state.apart_ticks[joint] = state.over_grip = 3u;
                    for (uint32_t n = 0; n < 5u; n++) state.path[n] = 0.5;
                    feedback.seq = 4u;
                    if (what == 0u) feedback.q[joint] = tolerance[k];
                    if (what == 1u) feedback.q[joint] = side[k];
                    if (what == 2u) feedback.dq[joint] = tolerance[k];
                    if (what == 3u) feedback.q[joint] = 0.5;
                    if (what == 4u) feedback.watchdog_ns = k < 3 ? (uint64_t)k : 999999997u + (uint64_t)k;
                    if (what == 5u) feedback.n = (uint32_t)k;
                    if (what == 6u) feedback.present = 0u;
                    if (what == 7u) feedback.q[joint] = NAN;
                    if (what == 8u) feedback.stamp_ns = k < 3 ? -21 * MS : 6 * MS;
                    if (what == 9u) state.has_feedback_seq = 1u, state.feedback_seq = (uint64_t)k + 2u;
                    if (what == 10u) feedback.stop_line = k < 3 ? 1u : 0u, feedback.torn = 1u;
                    if (what == 11u) feedback.q[0] = 0.25 * (double)k, feedback.q[1] = 2.75 - 0.125 * (double)k;
                    if (what == 11u) config.q_max[1] = 4.0;
                    if (what == 12u) feedback.q[joint] = tolerance[k] + 6.283185307179586;
                    if (what == 13u) feedback.q[joint] = beside[k];
                    if (what == 14u) state.left[joint] = left[k], state.has_left = 1u;
                    if (what == 15u) state.left[joint] = 0.00390625, state.has_left = (uint32_t)k % 2u;
                    answer_whole(a, kernel_request(&state, &config, &feedback, request, 0));
                    answer_bytes(a, &state, sizeof state);
                }
}

/* Stops of two joints whose ends, speeds and clearances lie on the limits. */
static void ask_verified(uint32_t variant, answer *a) {
    uint64_t random = variant + 1u;
    stop_certificate stop;
    for (uint32_t n = 0; n < 150u; n++) {
        profile_state joints[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stop_profile profile;
        uint32_t poses = fuzz_below(&random, 41u);
        double tool_speed = 0.25 * (double)(1u + fuzz_below(&random, 8u));
        stand(variant % 4u != 0u);
        config.clearance_min_m = n % 3u ? 0.0 : 0.03125;
        for (uint32_t i = 0; i < 2u; i++) {
            const profile_limits limits = axis_limits(&config, i);
            joints[i].q = fuzz_uniform(&random, -1.0, 1.0);
            joints[i].v = fuzz_below(&random, 3u) ? fuzz_uniform(&random, -1.0, 1.0) : 0.0;
            joints[i].a = fuzz_below(&random, 2u) ? fuzz_uniform(&random, -8.0, 8.0) : 0.0;
            stop_profile_of(joints[i], &limits, &profile);
            /* Its end, or its speed, exactly on a limit, or a hair beyond the tolerated one. */
            const double hair = (double)fuzz_below(&random, 5u) * 0.5e-11;
            if (fuzz_below(&random, 3u) == 0u) config.q_max[i] = profile.q_high - hair * (profile.q_high + 1.0);
            if (fuzz_below(&random, 3u) == 0u) config.q_min[i] = profile.q_low + hair * (1.0 - profile.q_low);
            if (fuzz_below(&random, 3u) == 0u) config.dq_max[i] = profile.speed_max / (1.0 + hair);
        }
        if (fuzz_below(&random, 4u) == 0u) joints[0].q = joints[1].q = 0.0;
        if (fuzz_below(&random, 4u) == 0u) joints[1].v = joints[1].a = 0.0;
        if (config.geometry.n_joints && n % 5u == 0u) {
            geometry_pose pose;
            double columns[GEOMETRY_MAX_LINKS][3], q[KERNEL_MAX_AXES] = {joints[0].q, joints[1].q};
            geometry_pose_at(&config.geometry, nowhere.pose, q, &pose);
            geometry_tool_columns(&config.geometry, &pose, 0u, columns);
            double square = 0.0;
            for (uint32_t k = 0; k < 3u; k++) {
                const double speed = columns[0][k] * joints[0].v + columns[1][k] * joints[1].v;
                square += speed * speed;
            }
            tool_speed = sqrt(square) * (1.0 - (double)fuzz_below(&random, 4u) * 0.5e-11);
            if (tool_speed == 0.0) tool_speed = 0.5;
        }
        answer_whole(a, (int64_t)verify_stop(&config, tool_speed, &nowhere, joints, &poses, &stop));
        answer_whole(a, poses);
        answer_number(a, stop.margin);
        answer_number(a, stop.margin_m);
        answer_whole(a, stop.margin_axis);
        answer_number(a, stop.ticks);
        answer_whole(a, stop.looked);
        answer_whole(a, stop.measured);
    }
}

/* The stops of whole arms, with hardly more room than they need, and a tool that is hardly slow enough. */
static void ask_verified_arms(uint32_t variant, answer *a) {
    static kernel_config c;
    static const double none[GEOMETRY_MAX_LINKS];
    const fuzz_stream *s = battery_arm(variant);
    uint64_t random = 77u + variant;
    c = s->config;
    for (uint32_t n = 0; n < 90u; n++) {
        profile_state joints[KERNEL_MAX_AXES];
        double q[KERNEL_MAX_AXES] = {0.0}, dq[KERNEL_MAX_AXES] = {0.0}, columns[GEOMETRY_MAX_LINKS][3];
        double range[KERNEL_MAX_AXES], square = 0.0, velocity[3] = {0.0, 0.0, 0.0}, way = 0.0, least = 1e9;
        geometry_pose pose;
        geometry_clearance clearance;
        stop_certificate stop;
        for (uint32_t i = 0; i < c.n_axes; i++) {
            const profile_limits limits = axis_limits(&c, i);
            stop_profile profile;
            if (c.axis_kind[i] > KERNEL_AXIS_CONTINUOUS) {
                joints[i] = (profile_state){0.0, 0.0, 0.0};
                range[i] = 0.0;
                continue;
            }
            c.end_speed_slope[0][i] = c.end_speed_slope[1][i] = 0.0;
            c.q_min[i] = -1e3;
            c.q_max[i] = 1e3;
            q[i] = s->real[i];
            dq[i] = fuzz_uniform(&random, -0.5, 0.5) * (n % 4u == 3u ? 0.01 : 1.0);
            if (n % 4u == 2u && i > 0u) dq[i] = 0.0;
            c.dq_max[i] = 20.0;
            const double braked = n % 5u == 4u ? -c.ddq_max[i] : 0.0;
            if (n % 5u == 4u) dq[i] *= 1e-2;
            joints[i] = (profile_state){q[i], dq[i], dq[i] > 0.0 ? braked : -braked};
            stop_profile_of(joints[i], &limits, &profile);
            range[i] = profile.q_high - profile.q_low;
        }
        geometry_pose_at(&c.geometry, nowhere.pose, q, &pose);
        geometry_clearance_at(&c.geometry, &pose, &clearance);
        if (c.geometry.n_tools) geometry_tool_columns(&c.geometry, &pose, 0u, columns);
        for (uint32_t k = 0; k < 3u; k++) {
            for (uint32_t j = c.geometry.n_tools ? c.geometry.n_joints : 0u; j-- > 0u;)
                velocity[k] += columns[j][k] * (c.geometry.joints[j].ratio * dq[c.geometry.joints[j].axis]);
            square = velocity[0] * velocity[0] + velocity[1] * velocity[1] + velocity[2] * velocity[2];
        }
        const double *one = c.geometry.tool_reach_m[0], *other = none;
        for (uint32_t k = 0; k < c.geometry.n_capsules; k++)
            if (clearance.world_m[k] < least) least = clearance.world_m[k], one = c.geometry.reach_m[k];
        for (uint32_t k = 0; k < c.geometry.n_pairs; k++)
            if (clearance.pair_m[k] < least) {
                least = clearance.pair_m[k];
                one = c.geometry.reach_m[c.geometry.pairs[k][0]];
                other = c.geometry.reach_m[c.geometry.pairs[k][1]];
            }
        for (uint32_t j = 0; j < c.geometry.n_joints; j++)
            if (one[j] == 0.0 || other[j] == 0.0)
                way += (one[j] + other[j]) * fabs(c.geometry.joints[j].ratio) * range[c.geometry.joints[j].axis];
        const double rooms[] = {0.0, 0.5e-12, 1e-12, 1.5e-12, -1e-6, -1e-4, -1e-3, -1e-2};
        c.clearance_min_m = fmax(0.0, fmin(1.0, least + rooms[n % 8u]));
        const double room = n % 9u == 8u ? way : way * fuzz_uniform(&random, 0.5, 3.5);
        if (n % 9u > 3u) c.clearance_min_m = least - room;
        if (n % 9u == 3u) c.clearance_min_m = least + 1e-12;
        if (n % 9u < 3u) c.clearance_min_m = -10.0; /* room enough: the tool alone decides */
        const double more[] = {0.0, 0.5e-11, -0.5e-11, -1e-11, -2e-11, 1e-3, 0.05, 0.5, 1.0, 3.0, 1e3};
        const double tool_speed = sqrt(square) * (1.0 + more[fuzz_below(&random, 11u)]);
        uint32_t poses = 1u + fuzz_below(&random, 60u);
        answer_whole(a, (int64_t)verify_stop(&c, tool_speed > 0.0 ? tool_speed : 1.0, &nowhere, joints, &poses, &stop));
        answer_whole(a, poses);
        answer_number(a, stop.margin);
        answer_number(a, stop.margin_m);
        answer_number(a, stop.ticks);
        answer_whole(a, stop.looked);
        answer_whole(a, stop.measured);
    }
}

/* Balls and rods on a line, as far apart as the balls around them need to the bit, or a hair more or less: which of them
 * are looked at, and measured, and when no more. */
static void ask_pairs(uint32_t variant, answer *a) {
    uint64_t random = 31u + variant;
    for (uint32_t n = 0; n < 200u; n++) {
        profile_state joints[KERNEL_MAX_AXES] = {{0.0, 0.0, 0.0}};
        stop_certificate stop;
        uint32_t poses = 40u;
        stand(1);
        geometry_model *g = &config.geometry;
        g->n_planes = g->n_keepouts = 0u;
        g->n_capsules = 8u;
        g->n_pairs = n % 64u ? 1u + fuzz_below(&random, 12u) : GEOMETRY_MAX_PAIRS;
        memset(g->joints[1].offset_m, 0, sizeof g->joints[1].offset_m);
        for (uint32_t k = 0; k < g->n_capsules; k++) {
            geometry_capsule *capsule = &g->capsules[k];
            memset(capsule, 0, sizeof *capsule);
            capsule->link = (int32_t)(k % 3u) - 1;
            capsule->radius_m = 0.0625;
            capsule->a_m[k % 2u] = 0.125 * (double)fuzz_below(&random, 16u);
            capsule->b_m[k % 2u] = capsule->a_m[k % 2u] + 0.125 * (double)fuzz_below(&random, 3u);
            capsule->a_m[2] = capsule->b_m[2] = k % 3u ? 0.0 : 0.25 * (double)fuzz_below(&random, 3u);
        }
        for (uint32_t p = 0; p < g->n_pairs; p++) {
            g->pairs[p][0] = fuzz_below(&random, g->n_capsules);
            do {
                g->pairs[p][1] = fuzz_below(&random, g->n_capsules);
            } while ((g->pairs[p][0] + 24u - g->pairs[p][1]) % 3u == 0u);
            g->pair_nearer_m[p] = fuzz_below(&random, 3u) ? 0.0 : 0.125;
        }
        geometry_derive(g);
        config.clearance_min_m = 0.125 * (double)fuzz_below(&random, 3u);
        for (uint32_t i = 0; i < 2u; i++)
            if (fuzz_below(&random, 3u) == 0u) joints[i].v = fuzz_uniform(&random, -1.0, 1.0);
        answer_whole(a, (int64_t)verify_stop(&config, 1e3, &nowhere, joints, &poses, &stop));
        answer_whole(a, poses);
        answer_number(a, stop.margin_m);
        answer_whole(a, stop.looked);
        answer_whole(a, stop.measured);
    }
}

/* A joint that stands still is told to move by exactly what a limit allows, and by a hair more. */
static void ask_shape(uint32_t variant, answer *a) {
    static const double hairs[] = {0.0, 0.5e-9, 0.999999999e-9, 1e-9, 1.000000001e-9, 2e-9, 1e-6, -1e-9};
    const double tick = 1e-3;
    for (uint32_t n = 0; n < 8u * 6u; n++) {
        motion_result result = {.speed_scale = 1.0};
        const double hair = 1.0 + hairs[n % 8u], sign = n / 8u % 2u ? -1.0 : 1.0;
        stand(variant % 3u == 2u);
        if (variant & 8u) config.dq_max[0] = config.dq_max[1] = 2.0;
        state.has_target = variant % 9u != 4u;
        state.target[0] = state.target[1] = variant & 1u ? 1e-9 * hair * config.dq_max[0] * tick : 0.0;
        if (variant % 10u == 9u) {
            /* The other axis is a hand, told to go exactly as far as it may. */
            as_kind(1u, KERNEL_AXIS_GRIPPER);
            config.geometry.n_capsules = 0u;
            config.manipulability_slow_below = config.manipulability_stop_below = 0.0;
            setpoint.q[1] = n % 3u ? 0.25 * sign * hair : sign * hair * (config.dq_max[1] * ((double)config.tick_ns * 1e-9));
            state.over_grip = n % 5u ? 0u : 3u;
            config.closes_up = n % 2u * 2u;
        }
        state.dq[0] = n / 16u == 0u ? 0.0 : sign * 0.5;
        state.ddq[0] = n / 16u == 2u ? sign * 8.0 : 0.0;
        const double a_next = state.ddq[0] + sign * 512.0 * tick * hair;
        setpoint.q[0] = tick * (state.dq[0] + tick * a_next);
        if (variant % 5u == 3u) setpoint.q[0] = tick * sign * hair * config.dq_max[0];
        if (variant % 5u == 4u) state.target[0] = setpoint.q[0] - tick * state.dq[0];
        state.target_speed[0] = variant % 7u ? state.dq[0] : 0.25;
        setpoint.speed_scale = variant % 4u ? 1.0 : 0.5;
        if (variant % 6u == 5u || variant % 12u == 8u) {
            /* Told exactly what the posture would have asked for, and moving at it. */
            config.manipulability_slow_below = 4.0;
            config.manipulability_stop_below = 0.25;
            const double posture = posture_speed_scale(&config, state.q);
            setpoint.speed_scale = variant % 6u == 5u ? posture : 1.0;
            state.dq[0] = sign * posture * config.dq_max[0];
            state.ddq[0] = 0.0;
            setpoint.q[0] = sign * 0.25;
        }
        motion_follow(&state, &config, &setpoint, &result);
        answer_bytes(a, &state, sizeof state);
        answer_whole(a, (int64_t)result.reasons);
        answer_number(a, result.stop.ticks);
        answer_number(a, result.accepted);
        answer_number(a, result.speed_scale);
    }
}

/* On the way to the posture, and there. */
static void ask_retraction(uint32_t variant, answer *a) {
    const double away[] = ON(1e-9);
    stand(variant % 2u);
    for (int k = 0; k < 6; k++) {
        config.retract[0] = config.retract[1] = variant & 2u ? 0.0 : 0.125;
        state.q[0] = config.retract[0];
        state.q[1] = config.retract[1];
        answer_whole(a, motion_retracted(&state, &config));
        state.q[variant % 2u] += away[k];
        answer_whole(a, motion_retracted(&state, &config));
        state.q[variant % 2u] = 0.0;
        answer_whole(a, motion_retracted(&state, &config));
        state.q[variant % 2u] = config.retract[0];
        state.ddq[variant % 2u] = (double)(k % 2);
        answer_whole(a, motion_retracted(&state, &config));
        answer_whole(a, motion_at_rest(&state, &config));
        state.ddq[variant % 2u] = 0.0;
    }
    kernel_state full = {.tightening = {1.0, 1.0}};
    memcpy(full.q, battery_arm(1u)->real, sizeof full.q);
    for (int k = 0; k < 9; k++) {
        motion_result result = {.speed_scale = 1.0};
        motion_retract(&full, &battery_arm(1u)->config, &result);
        answer_bytes(a, &full, sizeof full);
    }
    for (int k = 0; k < 500; k++) {
        motion_result result = {.speed_scale = 1.0};
        motion_retract(&state, &config, &result);
        answer_bytes(a, &state, sizeof state);
        answer_number(a, result.speed_scale);
        answer_whole(a, motion_retracted(&state, &config));
        if (k == 0) state.q[0] = 0.5;
    }
}

const battery_group battery_parts[] = {
    {"checks", ask_checks, 10u},       {"trail", ask_trail, 4u},       {"requests", ask_requests, 10u},
    {"kinds", ask_kinds, 6u},          {"base", ask_base, 24u},        {"ends", ask_ends, 24u},
    {"drive", ask_drive, 40u},         {"shape", ask_shape, 140u},     {"tool", ask_tool, 6u},
    {"odometry", ask_odometry, 3u},    {"trips", ask_trips, 3u},       {"places", ask_places, 2u},
    {"many", ask_many, 5u},            {"long arm", ask_long_arm, 8u}, {"bare", ask_bare, 2u},
    {"landing", ask_landing, 2u},      {"touch", ask_touch, 2u},       {"hair", ask_hair, 2u},
    {"swings", ask_swings, 12u},
    {"retraction", ask_retraction, 4u}, {"verified", ask_verified, 40u},  {"pairs", ask_pairs, 24u}, {"arms", ask_verified_arms, 112u},
};
const uint32_t battery_parts_count = sizeof battery_parts / sizeof *battery_parts;
