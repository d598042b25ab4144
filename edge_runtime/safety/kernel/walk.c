/* Whether a full stop stays inside every limit, shown for all of its ticks from a look at a few of them.
 *
 * Axes: stop_profile_of() has the extremes in closed form; where a velocity limit falls towards the end of the range, it is
 * held at the least that it is between two ticks against the most that the speed is, ever more ticks apart. Geometry: no point of capsule c moves
 * further than reach[c][j] per unit of joint j, so while they move by dq_j it moves at most sum_j reach[c][j] |dq_j|; a clearance seen
 * at one tick therefore holds until that sum has used it up, and that is where to look next. A look that leaves no
 * room for a whole tick steps by one: every tick is then looked at. Of two capsules each moves, as seen from the other,
 * by the joints beyond the last one that moves both. A base moves all of them in the world, as joints below all
 * others would; where it is is known but for a lag, and but for what its way bends by while it turns. */
#include <math.h>

#include "motion.h"
#include "number.h"

/* Part of a limit that counts as rounding: the same stop seen from its next tick differs by so much. */
#define SLACK 1e-11
#define SLACK_M 1e-12

/* Intervals of a stop that are tried to show that it keeps a velocity limit that falls. */
#define INTERVALS 96

/* The stop of all axes, as it stands after some of its ticks. */
typedef struct {
    double q[KERNEL_MAX_AXES];
    double v[KERNEL_MAX_AXES];
    double peak[KERNEL_MAX_AXES];  /* bound of |v| from here on */
    double still[KERNEL_MAX_AXES]; /* bound of the way still to go */
} stop_moment;

static double tick_s(const kernel_config *config) { return (double)config->tick_ns * 1e-9; }

double end_speed(const kernel_config *config, uint32_t end, uint32_t i, double q) {
    const double slope = config->end_speed_slope[end][i];
    const double zero = config->end_speed_zero[end][i];
    const double room = end == 0u ? q - zero : zero - q;
    return larger(0.0, sqrt(larger(0.0, slope * room)) - config->end_speed_offset[end][i]);
}

static int is_slow_enough(const kernel_config *config, uint32_t end, uint32_t i, double v, double q) {
    return v <= end_speed(config, end, i, q) * (1.0 + SLACK) + SLACK * config->dq_max[i];
}

/* Bound of |v| from this tick of a stop on, where it is v. */
static double peak_from(const stop_profile *profile, uint32_t ticks, double v) {
    return ticks < profile->peak_tick ? profile->speed_max : magnitude(v);
}

/* Whether a stop keeps the velocity limit of one end from tick `from` to tick `to`, both included: looked at exactly where
 * they are the same, else by the most that speed and position are. */
static int keeps_between(const kernel_config *config, uint32_t end, uint32_t i, const stop_profile *profile, uint32_t from,
                         uint32_t to) {
    const double side = end == 0u ? -1.0 : 1.0;
    double q, v;
    stop_profile_at(profile, from, tick_s(config), &q, &v);
    if (from == to) return is_slow_enough(config, end, i, side * v, q);
    const double fastest = peak_from(profile, from, v);
    stop_profile_at(profile, to, tick_s(config), &q, &v);
    if (profile->turns) q = end == 0u ? profile->q_low : profile->q_high;
    return is_slow_enough(config, end, i, fastest, q);
}

/* From the start in intervals as long as they can be. */
static int keeps_end_speed(const kernel_config *config, uint32_t end, uint32_t i, const stop_profile *profile) {
    const double start = profile->segments[0].state.q;
    const double way = end == 0u ? start - profile->q_low : profile->q_high - start;
    uint32_t from = 0u;
    uint32_t length = profile->ticks;
    /* It goes the other way from here on. */
    if (way == 0.0 && !profile->turns) return keeps_between(config, end, i, profile, 0u, 0u);
    for (uint32_t tried = 0u; tried < INTERVALS; tried++) {
        if (keeps_between(config, end, i, profile, from, from + length)) {
            from += length + 1u;
            if (from == profile->ticks + 1u) return 1;
            length = 2u * length + 1u;
        } else if (length == 0u) {
            return 0;
        } else {
            length /= 2u;
        }
        length = (uint32_t)smaller((double)length, (double)(profile->ticks - from));
    }
    return 0;
}

/* The distance that is left between these positions and the ends of the range. */
static double take_margin(const kernel_config *config, uint32_t i, double low, double high, stop_certificate *stop) {
    const double margin = smaller(config->q_max[i] - high, low - config->q_min[i]);
    if (margin < stop->margin) {
        stop->margin = margin;
        stop->margin_axis = i;
    }
    return margin;
}

void rest_margin(const kernel_config *config, const double *q, stop_certificate *stop) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (is_joint(config, i)) (void)take_margin(config, i, q[i], q[i], stop);
}

static int stays_inside(const kernel_config *config, uint32_t i, const stop_profile *profile, stop_certificate *stop) {
    const double margin = take_margin(config, i, profile->q_low, profile->q_high, stop);
    return margin >= -SLACK * (config->q_max[i] - config->q_min[i]) &&
           (config->end_speed_slope[0][i] == 0.0 || keeps_end_speed(config, 0u, i, profile)) &&
           (config->end_speed_slope[1][i] == 0.0 || keeps_end_speed(config, 1u, i, profile));
}

static uint64_t verify_axis(const kernel_config *config, uint32_t i, const stop_profile *profile,
                            stop_certificate *stop) {
    const int inside = is_velocity(config, i) || stays_inside(config, i, profile, stop);
    stop->ticks = larger(stop->ticks, (double)profile->ticks);
    return inside && profile->speed_max <= config->dq_max[i] * (1.0 + SLACK) ? 0u : KERNEL_BIT(LIMIT_BRAKING);
}

static void axis_at(const stop_profile *profile, uint32_t ticks, double tick, uint32_t i, stop_moment *moment) {
    stop_profile_at(profile, ticks, tick, &moment->q[i], &moment->v[i]);
    moment->peak[i] = peak_from(profile, ticks, moment->v[i]);
    moment->still[i] = profile->turns ? 2.0 * (profile->q_high - profile->q_low)
                                      : magnitude(profile->q_end - moment->q[i]);
}

static void moment_at(const kernel_config *config, const stop_profile *profiles, uint32_t ticks, stop_moment *moment) {
    for (uint32_t i = 0u; i < config->n_axes; i++)
        if (!is_gripper(config, i)) axis_at(&profiles[i], ticks, tick_s(config), i, moment);
}

/* The same for the joints of the geometry, each of which goes with an axis. */
typedef struct {
    double v[GEOMETRY_MAX_LINKS];
    double peak[GEOMETRY_MAX_LINKS];
    double still[GEOMETRY_MAX_LINKS];
} joint_moment;

static void joints_at(const geometry_model *model, const stop_moment *moment, joint_moment *joints) {
    for (uint32_t j = 0u; j < model->n_joints; j++) {
        const int32_t axis = model->joints[j].axis;
        const double ratio = model->joints[j].ratio;
        joints->v[j] = ratio * moment->v[axis];
        joints->peak[j] = magnitude(ratio) * moment->peak[axis];
        joints->still[j] = magnitude(ratio) * moment->still[axis];
    }
}

/* The base along the stop: where it is, how far off that may be, and how far it may still go. */
typedef struct {
    double pose[3];
    double off_m, off_rad;
    double still_m, still_rad;
    double peak_m_s, peak_rad_s;
} base_moment;

static base_moment base_at(const kernel_config *config, const kernel_base *base, const stop_moment *moment) {
    base_moment at = {.pose = {base->pose[0], base->pose[1], base->pose[2]}};
    double way[3] = {0.0, 0.0, 0.0};
    double sine, cosine;
    for (uint32_t k = 0u; k < 3u; k++) {
        const int32_t i = config->base_axis[k];
        if (i < 0) continue;
        way[k] = moment->q[i] - base->told[k];
        *(k == 2u ? &at.still_rad : &at.still_m) += moment->still[i];
        *(k == 2u ? &at.peak_rad_s : &at.peak_m_s) += moment->peak[i];
    }
    geometry_sine_cosine(base->pose[2], &sine, &cosine);
    at.pose[0] += cosine * way[0] - sine * way[1];
    at.pose[1] += sine * way[0] + cosine * way[1];
    at.pose[2] += way[2];
    at.off_m = base->lag_m;
    at.off_rad = base->lag_rad;
    return at;
}

/* How far capsules may still go: per capsule, [0] as seen from the base, [k + 1] as seen from link k. */
typedef struct {
    double still[GEOMETRY_MAX_CAPSULES][GEOMETRY_MAX_LINKS + 1]; /* m until rest */
    double pace[GEOMETRY_MAX_CAPSULES][GEOMETRY_MAX_LINKS + 1];  /* m per tick, from here on */
} stop_travel;

static void travel_of(const geometry_model *model, const joint_moment *joints, double tick, uint32_t capsule,
                      stop_travel *travel) {
    const double *reach_m = model->reach_m[capsule];
    double *still = travel->still[capsule], *pace = travel->pace[capsule];
    double way = 0.0, speed = 0.0;
    for (int32_t i = model->capsules[capsule].link; i >= 0; i = model->joints[i].parent) {
        still[i + 1] = way;
        pace[i + 1] = speed * tick;
        way += reach_m[i] * joints->still[i];
        speed += reach_m[i] * joints->peak[i];
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
static double look_at_distances(const kernel_config *config, const base_moment *base, const geometry_pose *pose,
                                const joint_moment *joints, watch_list *watched, stop_certificate *stop) {
    const geometry_model *model = &config->geometry;
    const double tick = tick_s(config);
    geometry_places places;
    stop_travel travel;
    double ticks = INFINITY;
    uint32_t left = 0u;
    geometry_places_at(model, pose, &places);
    for (uint32_t c = 0u; c < model->n_capsules; c++) {
        const double reach_m = model->base_reach_m[c];
        double clear_m = geometry_world_m(model, &places, c);
        if (clear_m < KERNEL_NO_MARGIN_M) clear_m -= base->off_m + reach_m * base->off_rad;
        travel_of(model, joints, tick, c, &travel);
        stop->margin_m = smaller(stop->margin_m, clear_m);
        ticks = smaller(ticks, free_ticks(clear_m - config->clearance_min_m,
                                          travel.still[c][0] + (base->still_m + reach_m * base->still_rad),
                                          travel.pace[c][0] + (base->peak_m_s + reach_m * base->peak_rad_s) * tick));
    }
    for (uint32_t k = 0u; k < watched->count; k++) {
        const uint32_t pair = watched->pairs[k];
        watched->pairs[left] = pair;
        left += (uint32_t)look_at_pair(config, &places, &travel, pair, &ticks, stop);
    }
    watched->count = left;
    return ticks;
}

static inline double length_of(const double *vector) {
    return sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]);
}

/* What is known of a tool's speed: its velocity is the sum of a column per joint times that joint's speed. Columns of
 * joints that turn grow by what joints further out still swing, and bend with them; all turn with every joint that turns;
 * speeds change by at most the acceleration limit. */
typedef struct {
    double velocity[3];
    double bound, gain, spin, swing, outer;
} tool_speed;

/* The next joint inwards: its column, its speed with bounds from here on, and its largest acceleration. */
static inline void add_joint(tool_speed *tool, const double *column, int slides, double reach_m, double v, double peak,
                      double still, double accel_max) {
    const double longest = length_of(column) + (slides ? 0.0 : tool->swing);
    for (int k = 0; k < 3; k++) tool->velocity[k] = column[k] * v + tool->velocity[k];
    tool->bound += longest * peak;
    tool->gain += longest * accel_max + (slides ? 0.0 : tool->outer * peak);
    tool->spin += slides ? 0.0 : peak;
    tool->swing += reach_m * still;
    tool->outer += reach_m * peak;
}

/* The base moves its tools like two slides and, before them, a joint that turns: below all others, so that how far it
 * swings what is further in is nothing. */
static void add_base(const kernel_config *config, const geometry_pose *pose, uint32_t t, const stop_moment *moment,
                     tool_speed *tool) {
    const double *turn = pose->base_rotation;
    const double *axis_m = pose->base_origin_m;
    double tool_m[3];
    geometry_tool_at(&config->geometry, pose, t, tool_m);
    const double columns[3][3] = {
        {turn[0], turn[3], 0.0}, {turn[1], turn[4], 0.0}, {axis_m[1] - tool_m[1], tool_m[0] - axis_m[0], 0.0}};
    for (uint32_t k = 3u; k-- > 0u;) {
        const int32_t i = config->base_axis[k];
        if (i < 0) continue;
        add_joint(tool, columns[k], k != 2u, 0.0, moment->v[i], moment->peak[i], moment->still[i], config->ddq_max[i]);
    }
}

/* Ticks until the next look at a tool; below 0 if it is too fast now. */
static double look_at_tool(const kernel_config *config, double speed_max_m_s, const geometry_pose *pose, uint32_t t,
                           const stop_moment *moment, const joint_moment *joints) {
    const geometry_model *model = &config->geometry;
    const double *reach_m = model->tool_reach_m[t];
    double columns[GEOMETRY_MAX_LINKS][3];
    tool_speed tool = {.bound = 0.0};
    geometry_tool_columns(model, pose, t, columns);
    for (uint32_t i = model->n_joints; i-- > 0u;) {
        const geometry_joint *joint = &model->joints[i];
        if (reach_m[i] == 0.0) continue;
        add_joint(&tool, columns[i], joint->slides != 0u, reach_m[i], joints->v[i], joints->peak[i], joints->still[i],
                  magnitude(joint->ratio) * config->ddq_max[joint->axis]);
    }
    add_base(config, pose, t, moment, &tool);
    if (tool.bound <= speed_max_m_s) return INFINITY;
    const double speed_m_s = length_of(tool.velocity);
    if (speed_m_s > speed_max_m_s * (1.0 + SLACK)) return -1.0;
    return larger(0.0, speed_max_m_s - speed_m_s) / ((tool.gain + tool.bound * tool.spin) * tick_s(config));
}

/* The same for all tools. */
static double look_at_tools(const kernel_config *config, double speed_max_m_s, const geometry_pose *pose,
                            const stop_moment *moment, const joint_moment *joints) {
    double ticks = INFINITY;
    for (uint32_t t = 0u; t < config->geometry.n_tools; t++) {
        const double most_m_s = smaller(config->tool_speed_max_m_s[t], speed_max_m_s);
        ticks = smaller(ticks, look_at_tool(config, most_m_s, pose, t, moment, joints));
    }
    return ticks;
}

static double bend_of(const base_moment *base, double tick) {
    return (base->still_m + base->peak_m_s * tick) * (base->still_rad + base->peak_rad_s * tick + base->off_rad);
}

static uint64_t walk(const kernel_config *config, double tool_speed_max_m_s, const kernel_base *base,
                     const stop_profile *profiles, uint32_t *poses, stop_certificate *stop) {
    const geometry_model *model = &config->geometry;
    const double tick = tick_s(config);
    uint64_t narrowest = KERNEL_BIT(LIMIT_GEOMETRY);
    uint32_t at = 0u;
    const int drives = needs_odometry(config);
    base_moment there = {.off_m = 0.0};
    double bend_m = 0.0;
    watch_list watched;
    watched.count = model->n_pairs;
    for (uint32_t p = 0u; p < watched.count; p++) watched.pairs[p] = p;
    while (*poses > 0u) {
        stop_moment moment;
        joint_moment joints;
        geometry_pose pose;
        (*poses)--;
        moment_at(config, profiles, at, &moment);
        joints_at(model, &moment, &joints);
        if (drives) {
            there = base_at(config, base, &moment);
            /* The way turns with the base: by no more than all of the one times all of the other. */
            if (at == 0u) bend_m = bend_of(&there, tick);
            there.off_m += bend_m;
        }
        geometry_pose_at(model, there.pose, moment.q, &pose);
        const double clear = look_at_distances(config, &there, &pose, &joints, &watched, stop);
        if (stop->margin_m < config->clearance_min_m - SLACK_M) return KERNEL_BIT(LIMIT_GEOMETRY);
        const double slow = look_at_tools(config, tool_speed_max_m_s, &pose, &moment, &joints);
        if (slow < 0.0) return KERNEL_BIT(LIMIT_TOOL_SPEED);
        const double free = smaller(clear, slow);
        const double ticks = larger(1.0, floor(free));
        if (ticks >= stop->ticks - (double)at) return 0u;
        at += (uint32_t)ticks;
        narrowest = free == clear ? KERNEL_BIT(LIMIT_GEOMETRY) : KERNEL_BIT(LIMIT_TOOL_SPEED);
    }
    return narrowest;
}

uint64_t verify_stop(const kernel_config *config, double tool_speed_max_m_s, const kernel_base *base,
                     const profile_state *axes, uint32_t *poses, stop_certificate *stop) {
    stop_profile profiles[KERNEL_MAX_AXES];
    uint64_t reasons = 0u;
    *stop = (stop_certificate)NO_STOP;
    for (uint32_t i = 0u; i < config->n_axes; i++) {
        if (is_gripper(config, i)) continue;
        const profile_limits limits = axis_limits(config, i);
        stop_profile_of(axes[i], &limits, &profiles[i]);
        reasons |= verify_axis(config, i, &profiles[i], stop);
    }
    if (reasons || config->geometry.n_capsules == 0u) return reasons;
    return walk(config, tool_speed_max_m_s, base, profiles, poses, stop);
}

double posture_speed_scale(const kernel_config *config, const double *q) {
    static const double unmoved[3];
    const double stop_below = config->manipulability_stop_below;
    double scale = 1.0;
    if (config->manipulability_slow_below == 0.0) return scale;
    geometry_pose pose;
    geometry_pose_at(&config->geometry, unmoved, q, &pose);
    for (uint32_t t = 0u; t < config->geometry.n_tools; t++) {
        const double above = geometry_manipulability(&config->geometry, &pose, t) - stop_below;
        scale = smaller(scale, larger(0.1, above / (config->manipulability_slow_below - stop_below)));
    }
    return scale;
}
