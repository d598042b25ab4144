#include "geometry.h"

#include <math.h>

#include "number.h"
#include "vector.h"

#define NOTHING_NEAR_M 1e9
#define FAR_IN_HALVES 4.0

/* p in the frame of the link -> out in the world. */
static inline void place(const geometry_pose *pose, int32_t link, const double *p, double *out) {
    const double *rotation = link < 0 ? pose->base_rotation : pose->rotation[link];
    const double *origin = link < 0 ? pose->base_origin_m : pose->origin_m[link];
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

static void place_base(const geometry_model *model, const double *base, geometry_pose *pose) {
    double sine = 0.0, cosine = 1.0;
    pose->base_origin_m[0] = pose->base_origin_m[1] = pose->base_origin_m[2] = 0.0;
    if (model->has_base) {
        geometry_sine_cosine(base[2], &sine, &cosine);
        pose->base_origin_m[0] = base[0];
        pose->base_origin_m[1] = base[1];
    }
    pose->base_rotation[0] = pose->base_rotation[4] = cosine;
    pose->base_rotation[1] = 0.0 - sine;
    pose->base_rotation[3] = sine;
    pose->base_rotation[2] = pose->base_rotation[5] = pose->base_rotation[6] = pose->base_rotation[7] = 0.0;
    pose->base_rotation[8] = 1.0;
}

/* The frame of a joint at 0 in the world, times the turn about its z. */
static inline void turned(const double *parent, const double *r, double sine, double cosine, double *rotation) {
    turned_row(&parent[0], r, sine, cosine, &rotation[0]);
    turned_row(&parent[3], r, sine, cosine, &rotation[3]);
    turned_row(&parent[6], r, sine, cosine, &rotation[6]);
}

void geometry_pose_at(const geometry_model *model, const double *base, const double *q, geometry_pose *pose) {
    place_base(model, base, pose);
    for (uint32_t i = 0; i < model->n_joints; i++) {
        const geometry_joint *joint = &model->joints[i];
        const double *parent = joint->parent < 0 ? pose->base_rotation : pose->rotation[joint->parent];
        const double position = joint->ratio * q[joint->axis] + joint->at_zero;
        double *rotation = pose->rotation[i], *origin_m = pose->origin_m[i];
        place(pose, joint->parent, joint->offset_m, origin_m);
        if (joint->slides) {
            turned(parent, joint->rotation, 0.0, 1.0, rotation);
            origin_m[0] += rotation[2] * position;
            origin_m[1] += rotation[5] * position;
            origin_m[2] += rotation[8] * position;
        } else {
            double sine, cosine;
            geometry_sine_cosine(position, &sine, &cosine);
            turned(parent, joint->rotation, sine, cosine, rotation);
        }
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

/* How fast the link of joint i turns, and how fast the point on it moves, per unit of the joint's position. */
static inline void motion(const geometry_model *model, const geometry_pose *pose, int32_t i, const double *point,
                          double *spin, double *velocity) {
    const double axis[3] = {pose->rotation[i][2], pose->rotation[i][5], pose->rotation[i][8]};
    double arm[3];
    if (model->joints[i].slides) {
        for (uint32_t k = 0; k < 3; k++) spin[k] = 0.0, velocity[k] = axis[k];
        return;
    }
    for (uint32_t k = 0; k < 3; k++) spin[k] = axis[k];
    difference(point, pose->origin_m[i], arm);
    cross(axis, arm, velocity);
}

void geometry_tool_at(const geometry_model *model, const geometry_pose *pose, uint32_t tool, double *point_m) {
    place(pose, model->tools[tool].link, model->tools[tool].point_m, point_m);
}

void geometry_tool_columns(const geometry_model *model, const geometry_pose *pose, uint32_t tool, double columns[][3]) {
    double point[3], spin[3];
    geometry_tool_at(model, pose, tool, point);
    for (uint32_t i = 0; i < model->n_joints; i++) columns[i][0] = columns[i][1] = columns[i][2] = 0.0;
    for (int32_t i = model->tools[tool].link; i >= 0; i = model->joints[i].parent)
        motion(model, pose, i, point, spin, columns[i]);
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

/* The column of an axis among those that have one already; a new one, all zero, is added at the end. */
static uint32_t column_of(int32_t axis, int32_t *axes, uint32_t *n, double rows[6][GEOMETRY_MAX_AXES]) {
    uint32_t at = 0;
    while (at < *n && axes[at] != axis) at++;
    if (at < *n) return at;
    axes[at] = axis;
    for (uint32_t k = 0; k < 6; k++) rows[k][at] = 0.0;
    *n = at + 1;
    return at;
}

double geometry_manipulability(const geometry_model *model, const geometry_pose *pose, uint32_t tool) {
    double rows[6][GEOMETRY_MAX_AXES], columns[5][GEOMETRY_MAX_AXES], point[3], one[6];
    int32_t axes[GEOMETRY_MAX_AXES];
    uint32_t n = 0;
    geometry_tool_at(model, pose, tool, point);
    for (int32_t i = model->tools[tool].link; i >= 0; i = model->joints[i].parent) {
        const uint32_t at = column_of(model->joints[i].axis, axes, &n, rows);
        motion(model, pose, i, point, &one[3], &one[0]);
        for (uint32_t k = 0; k < 6; k++) rows[k][at] = model->joints[i].ratio * one[k] + rows[k][at];
    }
    if (n >= 6) return volume_of(rows, 6, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < 6; k++) columns[i][k] = rows[k][i];
    return volume_of(columns, n, 6);
}
