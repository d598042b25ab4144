/* Whether a model is one, and what follows from it before the robot moves: see geometry.h. */
#include "geometry.h"

#include "number.h"
#include "vector.h"

#define FARTHEST_POINT_M 100.0
#define FARTHEST_WORLD_M 1e6
#define FARTHEST_TURN_RAD 1.5e6
#define LARGEST_RATIO 1e3
#define UNIT_TOLERANCE 1e-9
#define NEARER_MOST_M 1.0

/* How long a vector is that lies in the plane of the floor. */
static inline double level(double x, double y) { return sqrt(x * x + y * y); }

/* What a joint's own position moves, joint by joint, and the base at the end. */
typedef struct {
    double joints_m[GEOMETRY_MAX_LINKS];
    double base_m;
} reaches;

/* How far the joints can move a point of the link that lies within radius_m of its frame's origin: joints on the way there
 * are never further apart than their offsets are long, and a sliding one extends. The base turns about its z alone, from
 * which only what is horizontal leads away: of a point on the base, level_m. */
static void reach_of(const geometry_model *model, int32_t link, double radius_m, double level_m, reaches *reach) {
    for (uint32_t i = 0; i < GEOMETRY_MAX_LINKS; i++) reach->joints_m[i] = 0.0;
    reach->base_m = level_m;
    for (int32_t i = link; i >= 0; i = model->joints[i].parent) {
        const geometry_joint *joint = &model->joints[i];
        const double extent_m = joint->slides ? joint->extent_m : 0.0;
        reach->joints_m[i] = joint->slides ? 1.0 : radius_m;
        reach->base_m = radius_m + level(joint->offset_m[0], joint->offset_m[1]) +
                        extent_m * level(joint->rotation[2], joint->rotation[5]);
        radius_m += length(joint->offset_m) + extent_m;
    }
}

static void capsule_reach(const geometry_model *model, uint32_t index, reaches *reach) {
    const geometry_capsule *capsule = &model->capsules[index];
    reach_of(model, capsule->link, larger(length(capsule->a_m), length(capsule->b_m)),
             larger(level(capsule->a_m[0], capsule->a_m[1]), level(capsule->b_m[0], capsule->b_m[1])), reach);
}

static void tool_reach(const geometry_model *model, uint32_t index, reaches *reach) {
    const geometry_tool *tool = &model->tools[index];
    reach_of(model, tool->link, length(tool->point_m), level(tool->point_m[0], tool->point_m[1]), reach);
}

/* The segment lies within half its length of its middle. */
static double ball_of(const geometry_capsule *capsule) {
    double along[3];
    difference(capsule->b_m, capsule->a_m, along);
    return 0.5 * length(along) + capsule->radius_m;
}

/* A joint's number is above those of the joints that carry it: the larger of two that differ is no root of both. */
static int32_t root_of(const geometry_model *model, uint32_t pair) {
    int32_t first = model->capsules[model->pairs[pair][0]].link, second = model->capsules[model->pairs[pair][1]].link;
    for (;;) {
        if (first > second) {
            first = model->joints[first].parent;
        } else if (second > first) {
            second = model->joints[second].parent;
        } else {
            return first;
        }
    }
}

static int inside(const double *point, double farthest_m) {
    return in_range(point[0], -farthest_m, farthest_m) && in_range(point[1], -farthest_m, farthest_m) &&
           in_range(point[2], -farthest_m, farthest_m);
}

static int near_to(double x, double target) { return in_range(x - target, -UNIT_TOLERANCE, UNIT_TOLERANCE); }

static int is_link(const geometry_model *model, int32_t link) { return link >= -1 && link < (int32_t)model->n_joints; }

static int is_rotation(const double *rotation) {
    double third[3];
    cross(&rotation[0], &rotation[3], third);
    return near_to(dot(&rotation[0], &rotation[0]), 1.0) && near_to(dot(&rotation[3], &rotation[3]), 1.0) &&
           near_to(dot(&rotation[0], &rotation[3]), 0.0) && near_to(rotation[6], third[0]) &&
           near_to(rotation[7], third[1]) && near_to(rotation[8], third[2]);
}

static geometry_error joint_error(const geometry_model *model, uint32_t index) {
    const geometry_joint *joint = &model->joints[index];
    if (joint->parent < -1 || joint->parent >= (int32_t)index) return GEOMETRY_PARENT;
    if (!is_rotation(joint->rotation)) return GEOMETRY_ROTATION;
    if (!inside(joint->offset_m, FARTHEST_POINT_M)) return GEOMETRY_OFFSET;
    const int known = joint->axis >= 0 && joint->axis < (int32_t)model->n_axes &&
                      in_range(joint->ratio, -LARGEST_RATIO, LARGEST_RATIO) &&
                      in_range(joint->at_zero, -LARGEST_RATIO, LARGEST_RATIO) &&
                      in_range(joint->extent_m, 0.0, FARTHEST_POINT_M);
    return known ? GEOMETRY_OK : GEOMETRY_AXIS;
}

static geometry_error capsule_error(const geometry_model *model, uint32_t index) {
    const geometry_capsule *capsule = &model->capsules[index];
    const int known = is_link(model, capsule->link) && inside(capsule->a_m, FARTHEST_POINT_M) &&
                      inside(capsule->b_m, FARTHEST_POINT_M) && capsule->radius_m > 0.0 &&
                      capsule->radius_m <= FARTHEST_POINT_M;
    return known ? GEOMETRY_OK : GEOMETRY_CAPSULE;
}

static geometry_error pair_error(const geometry_model *model, uint32_t index) {
    const uint32_t first = model->pairs[index][0], second = model->pairs[index][1];
    const int known = first < model->n_capsules && second < model->n_capsules &&
                      model->capsules[first].link != model->capsules[second].link &&
                      in_range(model->pair_nearer_m[index], 0.0, NEARER_MOST_M);
    return known ? GEOMETRY_OK : GEOMETRY_PAIR;
}

static geometry_error plane_error(const geometry_model *model, uint32_t index) {
    const geometry_plane *plane = &model->planes[index];
    const int known = near_to(dot(plane->normal, plane->normal), 1.0) &&
                      in_range(plane->offset_m, -FARTHEST_WORLD_M, FARTHEST_WORLD_M);
    return known ? GEOMETRY_OK : GEOMETRY_PLANE;
}

static geometry_error keepout_error(const geometry_model *model, uint32_t index) {
    const geometry_keepout *zone = &model->keepouts[index];
    const int known = inside(zone->min_m, FARTHEST_WORLD_M) && inside(zone->max_m, FARTHEST_WORLD_M) &&
                      zone->min_m[0] <= zone->max_m[0] && zone->min_m[1] <= zone->max_m[1] &&
                      zone->min_m[2] <= zone->max_m[2] && in_range(zone->radius_m, 0.0, FARTHEST_WORLD_M);
    return known ? GEOMETRY_OK : GEOMETRY_KEEPOUT;
}

static geometry_error tool_error(const geometry_model *model, uint32_t index) {
    const geometry_tool *tool = &model->tools[index];
    return is_link(model, tool->link) && inside(tool->point_m, FARTHEST_POINT_M) ? GEOMETRY_OK : GEOMETRY_TOOL;
}

static geometry_error counts_error(const geometry_model *model) {
    const int fits = model->n_joints <= GEOMETRY_MAX_LINKS && model->n_axes <= GEOMETRY_MAX_AXES &&
                     model->n_tools <= GEOMETRY_MAX_TOOLS && model->n_capsules <= GEOMETRY_MAX_CAPSULES &&
                     model->n_pairs <= GEOMETRY_MAX_PAIRS && model->n_planes <= GEOMETRY_MAX_PLANES &&
                     model->n_keepouts <= GEOMETRY_MAX_KEEPOUTS;
    return fits && model->n_capsules > 0 ? GEOMETRY_OK : GEOMETRY_COUNTS;
}

typedef geometry_error (*item_error)(const geometry_model *model, uint32_t index);

static geometry_error first_error(const geometry_model *model, item_error error_of, uint32_t count, uint32_t *index) {
    for (*index = 0; *index < count; (*index)++) {
        const geometry_error error = error_of(model, *index);
        if (error != GEOMETRY_OK) return error;
    }
    *index = 0;
    return GEOMETRY_OK;
}

/* All that geometry_derive() builds on. */
static geometry_error values_error(const geometry_model *model, uint32_t *index) {
    geometry_error error = counts_error(model);
    if (error == GEOMETRY_OK) error = first_error(model, joint_error, model->n_joints, index);
    if (error == GEOMETRY_OK) error = first_error(model, capsule_error, model->n_capsules, index);
    if (error == GEOMETRY_OK) error = first_error(model, pair_error, model->n_pairs, index);
    if (error == GEOMETRY_OK) error = first_error(model, plane_error, model->n_planes, index);
    if (error == GEOMETRY_OK) error = first_error(model, keepout_error, model->n_keepouts, index);
    if (error == GEOMETRY_OK) error = first_error(model, tool_error, model->n_tools, index);
    return error;
}

static void copy_reach(const reaches *reach, double *joints_m, double *base_m) {
    for (uint32_t i = 0; i < GEOMETRY_MAX_LINKS; i++) joints_m[i] = reach->joints_m[i];
    *base_m = reach->base_m;
}

static int is_reach(const reaches *reach, const double *joints_m, double base_m) {
    int same = reach->base_m == base_m;
    for (uint32_t i = 0; i < GEOMETRY_MAX_LINKS; i++) same &= reach->joints_m[i] == joints_m[i];
    return same;
}

void geometry_derive(geometry_model *model) {
    reaches reach;
    uint32_t culprit;
    if (values_error(model, &culprit) != GEOMETRY_OK) return;
    for (uint32_t i = 0; i < model->n_capsules; i++) {
        capsule_reach(model, i, &reach);
        copy_reach(&reach, model->reach_m[i], &model->base_reach_m[i]);
        model->ball_m[i] = ball_of(&model->capsules[i]);
    }
    for (uint32_t i = 0; i < model->n_pairs; i++) model->pair_root[i] = root_of(model, i);
    for (uint32_t i = 0; i < model->n_tools; i++) {
        tool_reach(model, i, &reach);
        copy_reach(&reach, model->tool_reach_m[i], &model->tool_base_reach_m[i]);
    }
}

static geometry_error capsule_derived_error(const geometry_model *model, uint32_t index) {
    reaches reach;
    capsule_reach(model, index, &reach);
    const int same = is_reach(&reach, model->reach_m[index], model->base_reach_m[index]) &&
                     model->ball_m[index] == ball_of(&model->capsules[index]);
    return same ? GEOMETRY_OK : GEOMETRY_REACH;
}

static geometry_error pair_derived_error(const geometry_model *model, uint32_t index) {
    return model->pair_root[index] == root_of(model, index) ? GEOMETRY_OK : GEOMETRY_REACH;
}

static geometry_error tool_derived_error(const geometry_model *model, uint32_t index) {
    reaches reach;
    tool_reach(model, index, &reach);
    return is_reach(&reach, model->tool_reach_m[index], model->tool_base_reach_m[index]) ? GEOMETRY_OK : GEOMETRY_REACH;
}

int geometry_check(const geometry_model *model, uint32_t *index) {
    *index = 0;
    if (model->n_capsules == 0) {
        const uint32_t others =
            model->n_joints | model->n_pairs | model->n_planes | model->n_keepouts | model->n_tools | model->has_base;
        return others == 0 ? GEOMETRY_OK : GEOMETRY_COUNTS;
    }
    geometry_error error = values_error(model, index);
    if (error == GEOMETRY_OK) error = first_error(model, capsule_derived_error, model->n_capsules, index);
    if (error == GEOMETRY_OK) error = first_error(model, pair_derived_error, model->n_pairs, index);
    if (error == GEOMETRY_OK) error = first_error(model, tool_derived_error, model->n_tools, index);
    return error;
}

int geometry_check_ranges(const geometry_model *model, const double *q_min, const double *q_max, uint32_t *index) {
    for (*index = 0; *index < model->n_joints; (*index)++) {
        const geometry_joint *joint = &model->joints[*index];
        const double most = joint->slides ? joint->extent_m : FARTHEST_TURN_RAD;
        const double low = magnitude(joint->ratio * q_min[joint->axis] + joint->at_zero);
        const double high = magnitude(joint->ratio * q_max[joint->axis] + joint->at_zero);
        if (!(low <= most && high <= most)) return GEOMETRY_RANGE;
    }
    *index = 0;
    return GEOMETRY_OK;
}
