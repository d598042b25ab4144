#include "geometry.h"

#include <math.h>

#include "number.h"

#define FARTHEST_POINT_M 100.0
#define FARTHEST_WORLD_M 1e6
#define NOTHING_NEAR_M 1e9
#define FAR_IN_HALVES 4.0
#define UNIT_TOLERANCE 1e-9
#define NEARER_MOST_M 1.0

static const double BASE_ROTATION[9] = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0};
static const double BASE_ORIGIN_M[3] = {0.0, 0.0, 0.0};

static inline double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static inline double length(const double *a) { return sqrt(dot(a, a)); }

static inline void difference(const double *a, const double *b, double *out) {
    out[0] = a[0] - b[0];
    out[1] = a[1] - b[1];
    out[2] = a[2] - b[2];
}

static inline void cross(const double *a, const double *b, double *out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* p in the frame of the link -> out in the world. */
static inline void place(const geometry_pose *pose, int32_t link, const double *p, double *out) {
    const double *rotation = link < 0 ? BASE_ROTATION : pose->rotation[link];
    const double *origin = link < 0 ? BASE_ORIGIN_M : pose->origin_m[link];
    out[0] = origin[0] + dot(&rotation[0], p);
    out[1] = origin[1] + dot(&rotation[3], p);
    out[2] = origin[2] + dot(&rotation[6], p);
}

/* Cody-Waite reduction: pi/2 in two parts, of which the first has 33 bits, so that its product with the number of
 * quarter turns is exact; polynomials of fdlibm (k_sin.c, k_cos.c) on +-pi/4. */
void geometry_sine_cosine(double x_rad, double *sine, double *cosine) {
    const double turns = floor(x_rad * 6.36619772367581382433e-01 + 0.5);
    const double x = (x_rad - turns * 1.57079632673412561417e+00) - turns * 6.07710050650619224932e-11;
    const double z = x * x;
    const double s = x + x * z *
        (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 +
        z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
    const double c = 1.0 - (0.5 * z - z * z *
        (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * (2.48015872894767294178e-05 +
        z * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
    const uint32_t quarter = (uint32_t)(int32_t)turns;
    const double up = quarter & 1u ? c : s;
    const double across = quarter & 1u ? s : c;
    *sine = quarter & 2u ? -up : up;
    *cosine = (quarter + 1u) & 2u ? -across : across;
}

/* A row p of the parent's rotation, times the joint's rotation r, times the turn about +z. */
static inline void turned_row(const double *p, const double *r, double sine, double cosine, double *out) {
    const double x = p[0] * r[0] + p[1] * r[3] + p[2] * r[6];
    const double y = p[0] * r[1] + p[1] * r[4] + p[2] * r[7];
    out[0] = x * cosine + y * sine;
    out[1] = y * cosine - x * sine;
    out[2] = p[0] * r[2] + p[1] * r[5] + p[2] * r[8];
}

void geometry_pose_at(const geometry_model *model, const double *q, geometry_pose *pose) {
    for (uint32_t i = 0; i < model->n_joints; i++) {
        const geometry_joint *joint = &model->joints[i];
        const double *parent = joint->parent < 0 ? BASE_ROTATION : pose->rotation[joint->parent];
        double sine, cosine;
        geometry_sine_cosine(q[i], &sine, &cosine);
        turned_row(&parent[0], joint->rotation, sine, cosine, &pose->rotation[i][0]);
        turned_row(&parent[3], joint->rotation, sine, cosine, &pose->rotation[i][3]);
        turned_row(&parent[6], joint->rotation, sine, cosine, &pose->rotation[i][6]);
        place(pose, joint->parent, joint->offset_m, pose->origin_m[i]);
    }
}

/* A lower bound of the distance of two convex bodies, whatever w is: `near` is the least that any point of the first
 * reaches along w, `far` the most of the second. It is the distance if w joins their closest points. The length of w
 * bounds it where the quotient is lost to underflow; 0 where w is 0. */
static inline double separation(const double *w, double near, double far) {
    const double distance = length(w);
    return clamp((near - far) / distance, 0.0, distance);
}

/* Of the segments a1-b1 and a2-b2. The quotients are 0/0, which clamp() makes 0, where a segment is a point or the two
 * are parallel: any place on it is then as good as another. */
static double segment_distance(const double *a1, const double *b1, const double *a2, const double *b2) {
    double along1[3], along2[3], between[3], w[3];
    difference(b1, a1, along1);
    difference(b2, a2, along2);
    difference(a1, a2, between);
    const double d11 = dot(along1, along1), d12 = dot(along1, along2), d22 = dot(along2, along2);
    const double d1 = dot(along1, between), d2 = dot(along2, between);
    const double on_line = clamp((d12 * d2 - d1 * d22) / (d11 * d22 - d12 * d12), 0.0, 1.0);
    const double t = clamp((d12 * on_line + d2) / d22, 0.0, 1.0);
    const double s = clamp((d12 * t - d1) / d11, 0.0, 1.0);
    w[0] = between[0] + s * along1[0] - t * along2[0];
    w[1] = between[1] + s * along1[1] - t * along2[1];
    w[2] = between[2] + s * along1[2] - t * along2[2];
    return separation(w, smaller(dot(w, a1), dot(w, b1)), larger(dot(w, a2), dot(w, b2)));
}

/* Of a + t along, beyond the sides low and high of one axis. */
static inline double beyond(double a, double along, double t, double low, double high) {
    const double p = a + t * along;
    return p - clamp(p, low, high);
}

/* From the box to the point a + t along -> w; half the slope of the squared distance over t. */
static inline double outside(const geometry_keepout *zone, const double *a, const double *along, double t, double *w) {
    w[0] = beyond(a[0], along[0], t, zone->min_m[0], zone->max_m[0]);
    w[1] = beyond(a[1], along[1], t, zone->min_m[1], zone->max_m[1]);
    w[2] = beyond(a[2], along[2], t, zone->min_m[2], zone->max_m[2]);
    return dot(w, along);
}

/* Moves one end of low..high, which holds the least distance, to where the line crosses a side's plane. */
static inline void narrow(const geometry_keepout *zone, const double *a, const double *along, double crossing,
                          double *low, double *high) {
    double w[3];
    const double t = clamp(crossing, *low, *high);
    if (outside(zone, a, along, t, w) < 0.0) {
        *low = t;
    } else {
        *high = t;
    }
}

/* The same for both sides of an axis. */
static inline void narrow_to_sides(const geometry_keepout *zone, const double *a, const double *along, uint32_t axis,
                                   double *low, double *high) {
    narrow(zone, a, along, (zone->min_m[axis] - a[axis]) / along[axis], low, high);
    narrow(zone, a, along, (zone->max_m[axis] - a[axis]) / along[axis], low, high);
}

/* Far away, the distance of the segment's bounding sphere. Near, the squared distance of a + t along from the box is
 * convex in t, and its slope linear between the places where the line crosses a side's plane: once all six have been
 * looked at, the least distance is where the straight line between the slopes at both ends meets zero, or at the nearer
 * end; clamp() sees to that, and to 0/0. */
static double keepout_distance(const geometry_keepout *zone, const double *a, const double *b) {
    double along[3], w[3], low = 0.0, high = 1.0;
    difference(b, a, along);
    (void)outside(zone, a, along, 0.5, w);
    const double to_middle = length(w), half = 0.5 * length(along);
    if (to_middle > FAR_IN_HALVES * half) return to_middle - half - zone->radius_m;
    narrow_to_sides(zone, a, along, 0, &low, &high);
    narrow_to_sides(zone, a, along, 1, &low, &high);
    narrow_to_sides(zone, a, along, 2, &low, &high);
    const double slope_low = outside(zone, a, along, low, w), slope_high = outside(zone, a, along, high, w);
    const double t = clamp(low + (high - low) * (slope_low / (slope_low - slope_high)), low, high);
    (void)outside(zone, a, along, t, w);
    const double far = larger(w[0] * zone->min_m[0], w[0] * zone->max_m[0]) +
                       larger(w[1] * zone->min_m[1], w[1] * zone->max_m[1]) +
                       larger(w[2] * zone->min_m[2], w[2] * zone->max_m[2]);
    return separation(w, smaller(dot(w, a), dot(w, b)), far) - zone->radius_m;
}

static double world_distance(const geometry_model *model, const double *a, const double *b) {
    double nearest = NOTHING_NEAR_M;
    for (uint32_t i = 0; i < model->n_planes; i++) {
        const geometry_plane *plane = &model->planes[i];
        nearest = smaller(nearest, smaller(dot(plane->normal, a), dot(plane->normal, b)) - plane->offset_m);
    }
    for (uint32_t i = 0; i < model->n_keepouts; i++) {
        nearest = smaller(nearest, keepout_distance(&model->keepouts[i], a, b));
    }
    return nearest;
}

void geometry_places_at(const geometry_model *model, const geometry_pose *pose, geometry_places *places) {
    for (uint32_t i = 0; i < model->n_capsules; i++) {
        const geometry_capsule *capsule = &model->capsules[i];
        const double *a = places->a_m[i], *b = places->b_m[i];
        place(pose, capsule->link, capsule->a_m, places->a_m[i]);
        place(pose, capsule->link, capsule->b_m, places->b_m[i]);
        places->middle_m[i][0] = 0.5 * (a[0] + b[0]);
        places->middle_m[i][1] = 0.5 * (a[1] + b[1]);
        places->middle_m[i][2] = 0.5 * (a[2] + b[2]);
    }
}

double geometry_world_m(const geometry_model *model, const geometry_places *places, uint32_t capsule) {
    if (!model->capsules[capsule].in_world) return NOTHING_NEAR_M;
    return world_distance(model, places->a_m[capsule], places->b_m[capsule]) - model->capsules[capsule].radius_m;
}

double geometry_pair_m(const geometry_model *model, const geometry_places *places, uint32_t pair) {
    const uint32_t first = model->pairs[pair][0], second = model->pairs[pair][1];
    const double apart_m =
        segment_distance(places->a_m[first], places->b_m[first], places->a_m[second], places->b_m[second]);
    return apart_m - (model->capsules[first].radius_m + model->capsules[second].radius_m) + model->pair_nearer_m[pair];
}

void geometry_clearance_at(const geometry_model *model, const geometry_pose *pose, geometry_clearance *clearance) {
    geometry_places places;
    geometry_places_at(model, pose, &places);
    for (uint32_t i = 0; i < model->n_capsules; i++) clearance->world_m[i] = geometry_world_m(model, &places, i);
    for (uint32_t i = 0; i < model->n_pairs; i++) clearance->pair_m[i] = geometry_pair_m(model, &places, i);
}

/* Axis of joint i in the world, and how fast a turn about it moves the point. */
static inline void turn(const geometry_pose *pose, int32_t i, const double *point, double *axis, double *velocity) {
    double arm[3];
    axis[0] = pose->rotation[i][2];
    axis[1] = pose->rotation[i][5];
    axis[2] = pose->rotation[i][8];
    difference(point, pose->origin_m[i], arm);
    cross(axis, arm, velocity);
}

void geometry_tool_columns(const geometry_model *model, const geometry_pose *pose, double columns[][3]) {
    double point[3], axis[3];
    place(pose, model->tool_link, model->tool_m, point);
    for (uint32_t i = 0; i < model->n_joints; i++) columns[i][0] = columns[i][1] = columns[i][2] = 0.0;
    for (int32_t i = model->tool_link; i >= 0; i = model->joints[i].parent) turn(pose, i, point, axis, columns[i]);
}

/* The volume that the vectors span, by Gram-Schmidt: unlike a determinant, it keeps its digits near a singularity. */
static double volume_of(double vectors[][GEOMETRY_MAX_AXES], uint32_t n_vectors, uint32_t n_values) {
    double volume = 1.0;
    for (uint32_t i = 0; i < n_vectors; i++) {
        double square = 0.0;
        for (uint32_t k = 0; k < n_values; k++) square += vectors[i][k] * vectors[i][k];
        volume *= sqrt(square);
        for (uint32_t j = i + 1; j < n_vectors; j++) {
            double share = 0.0;
            for (uint32_t k = 0; k < n_values; k++) share += vectors[i][k] * vectors[j][k];
            if (square > 0.0) share /= square;
            for (uint32_t k = 0; k < n_values; k++) vectors[j][k] -= share * vectors[i][k];
        }
    }
    return volume;
}

double geometry_manipulability(const geometry_model *model, const geometry_pose *pose) {
    double rows[6][GEOMETRY_MAX_AXES], columns[GEOMETRY_MAX_AXES][GEOMETRY_MAX_AXES], point[3];
    uint32_t n = 0;
    place(pose, model->tool_link, model->tool_m, point);
    for (int32_t i = model->tool_link; i >= 0; i = model->joints[i].parent) {
        turn(pose, i, point, &columns[n][3], &columns[n][0]);
        rows[0][n] = columns[n][0];
        rows[1][n] = columns[n][1];
        rows[2][n] = columns[n][2];
        rows[3][n] = columns[n][3];
        rows[4][n] = columns[n][4];
        rows[5][n] = columns[n][5];
        n++;
    }
    return n < 6 ? volume_of(columns, n, 6) : volume_of(rows, 6, n);
}

/* How far from each joint's axis a point of the link can be that lies within radius_m of its frame's origin: joints on
 * the way there are never further apart than their offsets are long. */
static void reach_of(const geometry_model *model, int32_t link, double radius_m, double *reach_m) {
    for (uint32_t i = 0; i < GEOMETRY_MAX_AXES; i++) reach_m[i] = 0.0;
    for (int32_t i = link; i >= 0; i = model->joints[i].parent) {
        reach_m[i] = radius_m;
        radius_m += length(model->joints[i].offset_m);
    }
}

static void capsule_reach(const geometry_model *model, uint32_t index, double *reach_m) {
    const geometry_capsule *capsule = &model->capsules[index];
    reach_of(model, capsule->link, larger(length(capsule->a_m), length(capsule->b_m)), reach_m);
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
    return inside(joint->offset_m, FARTHEST_POINT_M) ? GEOMETRY_OK : GEOMETRY_OFFSET;
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

static geometry_error counts_error(const geometry_model *model) {
    const int fits = model->n_joints <= GEOMETRY_MAX_AXES && model->n_capsules <= GEOMETRY_MAX_CAPSULES &&
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
    if (error != GEOMETRY_OK) return error;
    return is_link(model, model->tool_link) && inside(model->tool_m, FARTHEST_POINT_M) ? GEOMETRY_OK : GEOMETRY_TOOL;
}

void geometry_derive(geometry_model *model) {
    uint32_t culprit;
    if (values_error(model, &culprit) != GEOMETRY_OK) return;
    for (uint32_t i = 0; i < model->n_capsules; i++) {
        capsule_reach(model, i, model->reach_m[i]);
        model->ball_m[i] = ball_of(&model->capsules[i]);
    }
    for (uint32_t i = 0; i < model->n_pairs; i++) model->pair_root[i] = root_of(model, i);
    reach_of(model, model->tool_link, length(model->tool_m), model->tool_reach_m);
}

static int is_same(const double *a, const double *b) {
    int same = 1;
    for (uint32_t i = 0; i < GEOMETRY_MAX_AXES; i++) same &= a[i] == b[i];
    return same;
}

int geometry_check(const geometry_model *model, uint32_t *index) {
    double reach_m[GEOMETRY_MAX_AXES];
    *index = 0;
    if (model->n_joints == 0) {
        const uint32_t others = model->n_capsules | model->n_pairs | model->n_planes | model->n_keepouts;
        return others == 0 ? GEOMETRY_OK : GEOMETRY_COUNTS;
    }
    const geometry_error error = values_error(model, index);
    if (error != GEOMETRY_OK) return error;
    for (; *index < model->n_capsules; (*index)++) {
        capsule_reach(model, *index, reach_m);
        if (!is_same(reach_m, model->reach_m[*index])) return GEOMETRY_REACH;
        if (model->ball_m[*index] != ball_of(&model->capsules[*index])) return GEOMETRY_REACH;
    }
    for (*index = 0; *index < model->n_pairs; (*index)++)
        if (model->pair_root[*index] != root_of(model, *index)) return GEOMETRY_REACH;
    *index = 0;
    reach_of(model, model->tool_link, length(model->tool_m), reach_m);
    return is_same(reach_m, model->tool_reach_m) ? GEOMETRY_OK : GEOMETRY_REACH;
}
