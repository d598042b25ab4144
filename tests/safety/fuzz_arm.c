/* See fuzz_stream.h: arms as they might be built, with walls and obstacles where they stand clear of them. The distances
 * are the kernel's own: libm's would make the robots of two machines differ in the last bit. */
#include <math.h>
#include <string.h>

#include "fuzz_stream.h"

#define ROOM_M 0.02

static void random_rotation(uint64_t *r, double *m) {
    /* Quarter turns as on most arms, or any quaternion. */
    static const double quarters[4][9] = {{1, 0, 0, 0, 1, 0, 0, 0, 1},
                                          {1, 0, 0, 0, 0, -1, 0, 1, 0},
                                          {1, 0, 0, 0, 0, 1, 0, -1, 0},
                                          {0, 0, 1, 0, 1, 0, -1, 0, 0}};
    double w, x, y, z, norm;
    if (fuzz_below(r, 4u)) {
        memcpy(m, quarters[fuzz_below(r, 4u)], sizeof quarters[0]);
        return;
    }
    do {
        w = fuzz_uniform(r, -1, 1), x = fuzz_uniform(r, -1, 1), y = fuzz_uniform(r, -1, 1), z = fuzz_uniform(r, -1, 1);
        norm = sqrt(w * w + x * x + y * y + z * z);
    } while (norm < 0.1);
    w /= norm, x /= norm, y /= norm, z /= norm;
    const double full[9] = {1 - 2 * (y * y + z * z), 2 * (x * y - w * z),     2 * (x * z + w * y),
                            2 * (x * y + w * z),     1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                            2 * (x * z - w * y),     2 * (y * z + w * x),     1 - 2 * (x * x + y * y)};
    memcpy(m, full, sizeof full);
}

/* Axes that joints may go with, in order; one joint for each, and a few that go with one of those before. */
static uint32_t random_drives(fuzz_stream *s, geometry_model *g) {
    const kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    for (uint32_t i = 0; i < c->n_axes; i++) {
        if (c->axis_kind[i] > KERNEL_AXIS_CONTINUOUS) continue;
        geometry_joint *joint = &g->joints[g->n_joints++];
        joint->axis = (int32_t)i;
        joint->ratio = fuzz_below(r, 4u) ? 1.0 : fuzz_uniform(r, -2.0, 2.0);
        joint->at_zero = fuzz_below(r, 4u) ? 0.0 : fuzz_uniform(r, -0.5, 0.5);
        joint->slides = c->axis_kind[i] == KERNEL_AXIS_BOUNDED && fuzz_below(r, 6u) == 0u;
        joint->extent_m = 30.0;
        if (g->n_joints >= GEOMETRY_MAX_LINKS || fuzz_below(r, 12u)) continue;
        /* A finger that mimics. */
        g->joints[g->n_joints] = *joint;
        g->joints[g->n_joints++].ratio = -joint->ratio;
    }
    return g->n_joints;
}

static void random_links(fuzz_stream *s, geometry_model *g) {
    uint64_t *r = &s->random;
    const uint32_t n = random_drives(s, g);
    const uint32_t second_arm = fuzz_below(r, 3u) ? n : n / 2u;
    for (uint32_t i = 0; i < n; i++) {
        geometry_joint *joint = &g->joints[i];
        random_rotation(r, joint->rotation);
        /* Mostly a chain, now and then a fork. */
        joint->parent = fuzz_below(r, 10u) == 0u ? (int32_t)fuzz_below(r, i + 1u) - 1 : (int32_t)i - 1;
        if (i == second_arm) joint->parent = -1;
        for (int k = 0; k < 3; k++) joint->offset_m[k] = fuzz_below(r, 2u) ? 0.0 : fuzz_uniform(r, -0.35, 0.35);
    }
    g->n_tools = fuzz_below(r, 4u) ? 1u : fuzz_below(r, GEOMETRY_MAX_TOOLS + 1u);
    for (uint32_t t = 0; t < g->n_tools; t++) {
        g->tools[t].link = t == 0u ? (int32_t)n - 1 : (int32_t)fuzz_below(r, n + 1u) - 1;
        for (int k = 0; k < 3; k++) g->tools[t].point_m[k] = fuzz_uniform(r, -0.1, 0.2);
    }
}

static void random_capsules(uint64_t *r, geometry_model *g) {
    for (int32_t link = -1; link < (int32_t)g->n_joints && g->n_capsules < GEOMETRY_MAX_CAPSULES; link++) {
        geometry_capsule *c = &g->capsules[g->n_capsules];
        memset(c, 0, sizeof *c);
        c->link = link;
        c->radius_m = fuzz_uniform(r, 0.02, 0.08);
        c->in_world = (link >= 0 || g->has_base) && fuzz_below(r, 5u) != 0u;
        const double *end = link + 1 < (int32_t)g->n_joints ? g->joints[link + 1].offset_m : g->tools[0].point_m;
        const int ball = fuzz_below(r, 6u) == 0u;
        for (int k = 0; k < 3; k++) {
            c->a_m[k] = fuzz_uniform(r, -0.02, 0.02);
            c->b_m[k] = ball ? c->a_m[k] : end[k];
        }
        if (fuzz_below(r, 6u)) g->n_capsules++;
    }
}

static double pair_room(const geometry_model *model, const geometry_pose *pose) {
    geometry_clearance clearance;
    geometry_clearance_at(model, pose, &clearance);
    return clearance.pair_m[model->n_pairs - 1u];
}

static double world_room(const geometry_model *model, const geometry_pose *pose) {
    geometry_clearance clearance;
    double least = FUZZ_NOWHERE_M;
    geometry_clearance_at(model, pose, &clearance);
    for (uint32_t c = 0; c < model->n_capsules; c++)
        if (clearance.world_m[c] < least) least = clearance.world_m[c];
    return least;
}

static void random_pairs(uint64_t *r, geometry_model *g, const geometry_pose *pose, uint32_t most) {
    for (uint32_t tries = 0; tries < 4u * most && g->n_pairs < most && g->n_capsules > 1u; tries++) {
        uint32_t *pair = g->pairs[g->n_pairs];
        pair[0] = fuzz_below(r, g->n_capsules);
        pair[1] = fuzz_below(r, g->n_capsules);
        const int32_t apart = g->capsules[pair[0]].link - g->capsules[pair[1]].link;
        if (apart * apart < 4) continue;
        g->pair_nearer_m[g->n_pairs] = 0.0;
        g->n_pairs++;
        const double room = pair_room(g, pose);
        if (room >= ROOM_M) continue;
        /* Too near where it stands: never watched, or watched from there. */
        if (fuzz_below(r, 2u) && room > -0.5) {
            g->pair_nearer_m[g->n_pairs - 1u] = ROOM_M - room;
        } else {
            g->n_pairs--;
        }
    }
}

static void random_world(uint64_t *r, geometry_model *g, const geometry_pose *pose) {
    const uint32_t planes = fuzz_below(r, 7u);
    const uint32_t keepouts = fuzz_below(r, 5u);
    for (uint32_t p = 0; p < planes; p++) {
        geometry_plane *plane = &g->planes[p];
        const double side = fuzz_below(r, 2u) ? 1.0 : -1.0;
        const uint32_t axis = fuzz_below(r, 3u);
        for (uint32_t k = 0; k < 3u; k++) plane->normal[k] = k == axis ? side : 0.0;
        plane->offset_m = 0.0;
        g->n_planes = 1u;
        const geometry_plane first = g->planes[0];
        g->planes[0] = *plane;
        const double room = world_room(g, pose);
        g->planes[0] = first;
        plane->offset_m = (room < FUZZ_NOWHERE_M ? room : 0.0) - fuzz_uniform(r, ROOM_M, 0.4);
        if (p == 0u) g->planes[0] = *plane;
    }
    g->n_planes = planes;
    for (uint32_t tries = 0; tries < 20u && g->n_keepouts < keepouts; tries++) {
        geometry_keepout *box = &g->keepouts[g->n_keepouts];
        const int ball = fuzz_below(r, 3u) == 0u;
        box->radius_m = ball || fuzz_below(r, 2u) ? fuzz_uniform(r, 0.0, 0.2) : 0.0;
        for (int k = 0; k < 3; k++) {
            box->min_m[k] = fuzz_uniform(r, -0.8, 0.8);
            box->max_m[k] = box->min_m[k] + (ball ? 0.0 : fuzz_uniform(r, 0.0, 0.4));
        }
        g->n_keepouts++;
        if (world_room(g, pose) < ROOM_M) g->n_keepouts--;
    }
}

static int drives(const kernel_config *c) {
    return c->base_axis[0] >= 0 || c->base_axis[1] >= 0 || c->base_axis[2] >= 0;
}

void fuzz_build_arm(fuzz_stream *s) {
    static const double nowhere[3] = {0.0, 0.0, 0.0};
    kernel_config *c = &s->config;
    uint64_t *r = &s->random;
    geometry_model *g = &c->geometry;
    geometry_pose pose;
    memset(g, 0, sizeof *g);
    g->n_axes = c->n_axes;
    g->has_base = drives(c) && fuzz_below(r, 4u) != 0u;
    random_links(s, g);
    random_capsules(r, g);
    geometry_pose_at(g, g->has_base && c->has_odometry ? s->place : nowhere, s->real, &pose);
    random_pairs(r, g, &pose, fuzz_below(r, 6u) ? fuzz_below(r, 14u) : 100u);
    random_world(r, g, &pose);
    geometry_derive(g);
    if (g->n_tools == 0u) return;
    c->manipulability_slow_below = fuzz_below(r, 3u) ? 0.0 : fuzz_decade(r, -4, 0);
    c->manipulability_stop_below = fuzz_below(r, 2u) ? 0.0 : 0.3 * c->manipulability_slow_below;
}
