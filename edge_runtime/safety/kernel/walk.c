/* Whether a full stop stays inside every limit, shown for all of its ticks from a look at a few of them.
 *
 * Joints: stop_profile_of() has the extremes in closed form. Geometry: no point of capsule c is further from the axis of
 * joint j than reach[c][j], so while the joints turn by dq_j it moves at most sum_j reach[c][j] |dq_j|; a clearance seen
 * at one tick therefore holds until that sum has used it up, and that is where to look next. A look that leaves no
 * room for a whole tick steps by one: every tick is then looked at. Of two capsules each moves, as seen from the other,
 * by the joints beyond the last one that moves both. */
#include <math.h>

#include "motion.h"
#include "number.h"

/* Part of a limit that counts as rounding: the same stop seen from its next tick differs by so much. */
#define SLACK 1e-11
#define SLACK_M 1e-12

/* The stop of all joints, as it stands after some of its ticks. */
typedef struct {
    double q[KERNEL_MAX_AXES];
    double v[KERNEL_MAX_AXES];
    double peak[KERNEL_MAX_AXES];  /* bound of |v| from here on */
    double still[KERNEL_MAX_AXES]; /* bound of the way still to go */
} stop_moment;

profile_limits joint_limits(const kernel_config *config, uint32_t i) {
    return (profile_limits){config->ddq_max[i], config->dddq_max[i], (double)config->tick_ns * 1e-9};
}

static uint64_t verify_joint(const kernel_config *config, uint32_t i, const stop_profile *profile,
                             stop_certificate *stop) {
    const double margin =
        smaller(config->q_max[i] - profile->q_high, profile->q_low - config->q_min[i]);
    if (i == 0u || margin < stop->margin_rad) {
        stop->margin_rad = margin;
        stop->margin_joint = i;
    }
    stop->ticks = larger(stop->ticks, (double)profile->ticks);
    const int inside = margin >= -SLACK * (config->q_max[i] - config->q_min[i]) &&
                       profile->speed_max <= config->dq_max[i] * (1.0 + SLACK);
    return inside ? 0u : KERNEL_BIT(LIMIT_BRAKING);
}

static void moment_at(const stop_profile *profiles, uint32_t n, uint32_t ticks, double tick, stop_moment *moment) {
    for (uint32_t i = 0u; i < n; i++) {
        const stop_profile *profile = &profiles[i];
        stop_profile_at(profile, ticks, tick, &moment->q[i], &moment->v[i]);
        moment->peak[i] = ticks < profile->peak_tick ? profile->speed_max : magnitude(moment->v[i]);
        moment->still[i] = profile->turns ? 2.0 * (profile->q_high - profile->q_low)
                                          : magnitude(profile->q_end - moment->q[i]);
    }
}

/* How far capsules may still go: per capsule, [0] as seen from the base, [k + 1] as seen from link k. */
typedef struct {
    double still[GEOMETRY_MAX_CAPSULES][GEOMETRY_MAX_AXES + 1]; /* m until rest */
    double pace[GEOMETRY_MAX_CAPSULES][GEOMETRY_MAX_AXES + 1];  /* m per tick, from here on */
} stop_travel;

static void travel_of(const geometry_model *model, const stop_moment *moment, double tick, uint32_t capsule,
                      stop_travel *travel) {
    const double *reach_m = model->reach_m[capsule];
    double *still = travel->still[capsule], *pace = travel->pace[capsule];
    double way = 0.0, speed = 0.0;
    for (int32_t i = model->capsules[capsule].link; i >= 0; i = model->joints[i].parent) {
        still[i + 1] = way;
        pace[i + 1] = speed * tick;
        way += reach_m[i] * moment->still[i];
        speed += reach_m[i] * moment->peak[i];
    }
    still[0] = way;
    pace[0] = speed * tick;
}

/* Ticks for which this much room is enough, whatever the links do. */
static double free_ticks(double room_m, double still, double pace) {
    return still <= room_m ? INFINITY : room_m / pace;
}

/* The pairs that may still come too near to each other before the stop is over. */
typedef struct {
    uint32_t pairs[GEOMETRY_MAX_PAIRS];
    uint32_t count;
} watch_list;

/* How far apart two capsules are at least, by the balls around them. */
typedef struct {
    double between2_m2; /* squared, from middle to middle */
    double balls_m;
} ball_gap;

static ball_gap gap_of(const geometry_model *model, const geometry_places *places, uint32_t pair) {
    const uint32_t first = model->pairs[pair][0], second = model->pairs[pair][1];
    const double *from = places->middle_m[first], *to = places->middle_m[second];
    const double x = to[0] - from[0], y = to[1] - from[1], z = to[2] - from[2];
    return (ball_gap){x * x + y * y + z * z,
                      model->ball_m[first] + model->ball_m[second] - model->pair_nearer_m[pair]};
}

static int is_wider(const ball_gap *gap, double than_m) {
    const double least_m = gap->balls_m + than_m;
    return gap->between2_m2 >= least_m * least_m;
}

/* Looks at one pair: whether it is to be looked at again. One of which the balls show that it is neither the nearest so
 * far nor the first to need another look would change nothing, and is not measured. */
static int look_at_pair(const kernel_config *config, const geometry_places *places, const stop_travel *travel,
                        uint32_t pair, double *ticks, stop_certificate *stop) {
    const geometry_model *model = &config->geometry;
    const uint32_t first = model->pairs[pair][0], second = model->pairs[pair][1];
    const int32_t seen_from = model->pair_root[pair] + 1;
    const double still = travel->still[first][seen_from] + travel->still[second][seen_from];
    const double pace = travel->pace[first][seen_from] + travel->pace[second][seen_from];
    const ball_gap gap = gap_of(model, places, pair);
    /* No pace for endless ticks is no number: smaller() passes over it. */
    const double needed_m = config->clearance_min_m + smaller(still, pace * *ticks);
    stop->looked++;
    if (is_wider(&gap, larger(stop->margin_m, needed_m))) return !is_wider(&gap, config->clearance_min_m + still);
    const double clear_m = geometry_pair_m(model, places, pair);
    stop->measured++;
    stop->margin_m = smaller(stop->margin_m, clear_m);
    *ticks = smaller(*ticks, free_ticks(clear_m - config->clearance_min_m, still, pace));
    return still > clear_m - config->clearance_min_m;
}

/* Ticks until the next look at the distances; their smallest goes into stop->margin_m, and out of the list what needs no
 * look any more. */
static double look_at_distances(const kernel_config *config, const geometry_pose *pose, const stop_moment *moment,
                                watch_list *watched, stop_certificate *stop) {
    const geometry_model *model = &config->geometry;
    const double tick = (double)config->tick_ns * 1e-9;
    geometry_places places;
    stop_travel travel;
    double ticks = INFINITY;
    uint32_t left = 0u;
    geometry_places_at(model, pose, &places);
    for (uint32_t c = 0u; c < model->n_capsules; c++) {
        const double clear_m = geometry_world_m(model, &places, c);
        travel_of(model, moment, tick, c, &travel);
        stop->margin_m = smaller(stop->margin_m, clear_m);
        ticks = smaller(ticks, free_ticks(clear_m - config->clearance_min_m, travel.still[c][0], travel.pace[c][0]));
    }
    for (uint32_t k = 0u; k < watched->count; k++) {
        const uint32_t pair = watched->pairs[k];
        watched->pairs[left] = pair;
        left += (uint32_t)look_at_pair(config, &places, &travel, pair, &ticks, stop);
    }
    watched->count = left;
    return ticks;
}

/* Ticks until the next look at the tool; below 0 if it is too fast now. Its velocity is the sum of a column per joint times
 * that joint's speed. Columns grow by what joints further out still swing, turn with every joint, and bend with those
 * further out; speeds change by at most the acceleration limit. */
static double look_at_tool(const kernel_config *config, double speed_max_m_s, const geometry_pose *pose,
                           const stop_moment *moment) {
    const geometry_model *model = &config->geometry;
    const double tick = (double)config->tick_ns * 1e-9;
    double columns[KERNEL_MAX_AXES][3];
    double velocity[3] = {0.0};
    double bound = 0.0;
    double gain = 0.0;
    double spin = 0.0;
    double swing = 0.0;
    double outer = 0.0;
    geometry_tool_columns(model, pose, columns);
    for (uint32_t i = model->n_joints; i-- > 0u;) {
        if (model->tool_reach_m[i] == 0.0) continue;
        const double *column = columns[i];
        const double longest =
            sqrt(column[0] * column[0] + column[1] * column[1] + column[2] * column[2]) + swing;
        for (int k = 0; k < 3; k++) velocity[k] = column[k] * moment->v[i] + velocity[k];
        bound += longest * moment->peak[i];
        gain += longest * config->ddq_max[i] + outer * moment->peak[i];
        spin += moment->peak[i];
        swing += model->tool_reach_m[i] * moment->still[i];
        outer += model->tool_reach_m[i] * moment->peak[i];
    }
    if (bound <= speed_max_m_s) return INFINITY;
    const double speed_m_s = sqrt(velocity[0] * velocity[0] + velocity[1] * velocity[1] + velocity[2] * velocity[2]);
    if (speed_m_s > speed_max_m_s * (1.0 + SLACK)) return -1.0;
    return larger(0.0, speed_max_m_s - speed_m_s) / ((gain + bound * spin) * tick);
}

static uint64_t walk(const kernel_config *config, double tool_speed_max_m_s, const stop_profile *profiles,
                     uint32_t *poses, stop_certificate *stop) {
    const double tick = (double)config->tick_ns * 1e-9;
    uint64_t narrowest = KERNEL_BIT(LIMIT_GEOMETRY);
    uint32_t at = 0u;
    watch_list watched;
    watched.count = config->geometry.n_pairs;
    for (uint32_t p = 0u; p < watched.count; p++) watched.pairs[p] = p;
    while (*poses > 0u) {
        stop_moment moment;
        geometry_pose pose;
        (*poses)--;
        moment_at(profiles, config->n_joints, at, tick, &moment);
        geometry_pose_at(&config->geometry, moment.q, &pose);
        const double clear = look_at_distances(config, &pose, &moment, &watched, stop);
        if (stop->margin_m < config->clearance_min_m - SLACK_M) return KERNEL_BIT(LIMIT_GEOMETRY);
        const double slow = look_at_tool(config, tool_speed_max_m_s, &pose, &moment);
        if (slow < 0.0) return KERNEL_BIT(LIMIT_TOOL_SPEED);
        const double free = smaller(clear, slow);
        const double ticks = larger(1.0, floor(free));
        if (ticks >= stop->ticks - (double)at) return 0u;
        at += (uint32_t)ticks;
        narrowest = free == clear ? KERNEL_BIT(LIMIT_GEOMETRY) : KERNEL_BIT(LIMIT_TOOL_SPEED);
    }
    return narrowest;
}

uint64_t verify_stop(const kernel_config *config, double tool_speed_max_m_s, const profile_state *joints,
                     uint32_t *poses, stop_certificate *stop) {
    stop_profile profiles[KERNEL_MAX_AXES];
    uint64_t reasons = 0u;
    *stop = (stop_certificate){.margin_m = KERNEL_NO_MARGIN_M};
    for (uint32_t i = 0u; i < config->n_joints; i++) {
        const profile_limits limits = joint_limits(config, i);
        stop_profile_of(joints[i], &limits, &profiles[i]);
        reasons |= verify_joint(config, i, &profiles[i], stop);
    }
    if (reasons || config->geometry.n_joints == 0u) return reasons;
    return walk(config, tool_speed_max_m_s, profiles, poses, stop);
}

double posture_speed_scale(const kernel_config *config, const double *q) {
    if (config->manipulability_slow_below == 0.0) return 1.0;
    geometry_pose pose;
    geometry_pose_at(&config->geometry, q, &pose);
    const double above = geometry_manipulability(&config->geometry, &pose) - config->manipulability_stop_below;
    return clamp(above / (config->manipulability_slow_below - config->manipulability_stop_below), 0.1, 1.0);
}
