/* See fuzz_stream.h: where links are and how far from each other, from the definitions and with libm; distances are
 * minima of convex functions, found by narrowing an interval instead of by cases. */
#include <math.h>

#include "fuzz_stream.h"

#define NARROWINGS 45
#define GOLDEN 0.6180339887498949

typedef struct {
    double turn[3][3];
    double at[3];
} frame;

static frame chain(const frame *parent, const geometry_joint *joint, double position) {
    frame out;
    double fixed[3][3];
    const double angle = joint->slides ? 0.0 : position, way = joint->slides ? position : 0.0;
    const double c = cos(angle), s = sin(angle);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            fixed[i][j] = 0.0;
            for (int k = 0; k < 3; k++) fixed[i][j] += parent->turn[i][k] * joint->rotation[3 * k + j];
        }
        out.turn[i][0] = c * fixed[i][0] + s * fixed[i][1];
        out.turn[i][1] = c * fixed[i][1] - s * fixed[i][0];
        out.turn[i][2] = fixed[i][2];
        out.at[i] = parent->at[i] + way * fixed[i][2];
        for (int k = 0; k < 3; k++) out.at[i] += parent->turn[i][k] * joint->offset_m[k];
    }
    return out;
}

static void carry(const frame *link, const double *point, double *out) {
    for (int i = 0; i < 3; i++) {
        out[i] = link->at[i];
        for (int k = 0; k < 3; k++) out[i] += link->turn[i][k] * point[k];
    }
}

/* links[0] is the base, links[i + 1] what joint i moves. */
static void place(const geometry_model *model, const double *base, const double *q, frame *links) {
    const double c = cos(base[2]), s = sin(base[2]);
    links[0] = (frame){{{c, -s, 0}, {s, c, 0}, {0, 0, 1}}, {base[0], base[1], 0}};
    for (uint32_t i = 0; i < model->n_joints; i++) {
        const geometry_joint *joint = &model->joints[i];
        links[i + 1] = chain(&links[joint->parent + 1], joint, joint->ratio * q[joint->axis] + joint->at_zero);
    }
}

static double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static void between(const double *a, const double *b, double t, double *out) {
    for (int i = 0; i < 3; i++) out[i] = a[i] + t * (b[i] - a[i]);
}

typedef double (*distance_of)(const double *point, const void *thing);

/* The least of a convex function over the points between a and b: a golden section, which looks once per narrowing. */
static double least_between(const double *a, const double *b, distance_of distance, const void *thing) {
    double low = 0.0, high = 1.0, x = 1.0 - GOLDEN, y = GOLDEN, point[3];
    double least = fmin(distance(a, thing), distance(b, thing));
    between(a, b, x, point);
    double left = distance(point, thing);
    between(a, b, y, point);
    double right = distance(point, thing);
    for (int n = 0; n < NARROWINGS; n++) {
        least = fmin(least, fmin(left, right));
        if (left <= right) {
            high = y, y = x, right = left;
            x = low + (1.0 - GOLDEN) * (high - low);
            between(a, b, x, point);
            left = distance(point, thing);
        } else {
            low = x, x = y, left = right;
            y = low + GOLDEN * (high - low);
            between(a, b, y, point);
            right = distance(point, thing);
        }
    }
    return least;
}

static double from_segment(const double *p, const void *ends) {
    const double *c = ends, *d = c + 3;
    double along[3], to[3];
    for (int i = 0; i < 3; i++) along[i] = d[i] - c[i], to[i] = p[i] - c[i];
    const double length = dot(along, along);
    const double t = length > 0.0 ? fmin(1.0, fmax(0.0, dot(to, along) / length)) : 0.0;
    for (int i = 0; i < 3; i++) to[i] -= t * along[i];
    return sqrt(dot(to, to));
}

static double from_box(const double *p, const void *keepout) {
    const geometry_keepout *box = keepout;
    double sum = 0.0;
    for (int i = 0; i < 3; i++) {
        const double out = fmax(0.0, fmax(box->min_m[i] - p[i], p[i] - box->max_m[i]));
        sum += out * out;
    }
    return sqrt(sum);
}

double fuzz_pair_m(const double *a, const double *b, const double *c, const double *d, double radii_m) {
    const double ends[6] = {c[0], c[1], c[2], d[0], d[1], d[2]};
    return least_between(a, b, from_segment, ends) - radii_m;
}

double fuzz_box_m(const double *a, const double *b, const geometry_keepout *box, double radius_m) {
    return least_between(a, b, from_box, box) - radius_m - box->radius_m;
}

static double spread(const double *a, const double *b) {
    const double ab[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
    return 0.5 * sqrt(dot(ab, ab));
}

/* Far enough that the exact distance does not matter: bounded by the middles. */
static int far(const double *a, const double *b, const double *middle, double extent, double than) {
    double m[3];
    between(a, b, 0.5, m);
    for (int i = 0; i < 3; i++) m[i] -= middle[i];
    return sqrt(dot(m, m)) - spread(a, b) - extent > than;
}

double fuzz_clearance_m(const geometry_model *model, const double *base, const double *q) {
    frame links[GEOMETRY_MAX_LINKS + 1];
    double a[GEOMETRY_MAX_CAPSULES][3], b[GEOMETRY_MAX_CAPSULES][3];
    double least = FUZZ_NOWHERE_M;
    place(model, base, q, links);
    for (uint32_t c = 0; c < model->n_capsules; c++) {
        const geometry_capsule *capsule = &model->capsules[c];
        carry(&links[capsule->link + 1], capsule->a_m, a[c]);
        carry(&links[capsule->link + 1], capsule->b_m, b[c]);
        if (!capsule->in_world) continue;
        for (uint32_t p = 0; p < model->n_planes; p++) {
            const double nearer = fmin(dot(model->planes[p].normal, a[c]), dot(model->planes[p].normal, b[c]));
            least = fmin(least, nearer - model->planes[p].offset_m - capsule->radius_m);
        }
        for (uint32_t k = 0; k < model->n_keepouts; k++) {
            const geometry_keepout *box = &model->keepouts[k];
            double middle[3];
            between(box->min_m, box->max_m, 0.5, middle);
            const double radii = capsule->radius_m + box->radius_m;
            if (!far(a[c], b[c], middle, spread(box->min_m, box->max_m), fmin(least, 1e3) + radii))
                least = fmin(least, fuzz_box_m(a[c], b[c], box, capsule->radius_m));
        }
    }
    for (uint32_t p = 0; p < model->n_pairs; p++) {
        const uint32_t i = model->pairs[p][0], j = model->pairs[p][1];
        const double radii = model->capsules[i].radius_m + model->capsules[j].radius_m;
        double middle[3];
        between(a[j], b[j], 0.5, middle);
        if (!far(a[i], b[i], middle, spread(a[j], b[j]), fmin(least, 1e3) + radii))
            least = fmin(least, fuzz_pair_m(a[i], b[i], a[j], b[j], radii) + model->pair_nearer_m[p]);
    }
    return least;
}

double fuzz_tool_speed_m_s(const geometry_model *model, const double *base, const double *drive, const double *q,
                           const double *dq, uint32_t tool) {
    frame links[GEOMETRY_MAX_LINKS + 1];
    double point[3], speed[3];
    place(model, base, q, links);
    carry(&links[model->tools[tool].link + 1], model->tools[tool].point_m, point);
    for (int k = 0; k < 3; k++) speed[k] = links[0].turn[k][0] * drive[0] + links[0].turn[k][1] * drive[1];
    speed[0] -= drive[2] * (point[1] - base[1]);
    speed[1] += drive[2] * (point[0] - base[0]);
    for (int32_t i = model->tools[tool].link; i >= 0; i = model->joints[i].parent) {
        const geometry_joint *joint = &model->joints[i];
        const frame *link = &links[i + 1];
        const double rate = joint->ratio * dq[joint->axis];
        const double axis[3] = {link->turn[0][2], link->turn[1][2], link->turn[2][2]};
        const double arm[3] = {point[0] - link->at[0], point[1] - link->at[1], point[2] - link->at[2]};
        for (int k = 0; k < 3; k++)
            speed[k] += rate * (joint->slides ? axis[k]
                                              : axis[(k + 1) % 3] * arm[(k + 2) % 3] - axis[(k + 2) % 3] * arm[(k + 1) % 3]);
    }
    return sqrt(dot(speed, speed));
}
