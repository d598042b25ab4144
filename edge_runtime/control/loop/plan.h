/* A plan: a value for each axis at absolute times, and those at any instant.
 *
 * Between knots a joint follows a cubic Hermite segment whose tangents are finite differences: at an inner knot the slope
 * of the parabola through it and its neighbours, at an end the slope of the segment. Position and velocity are
 * continuous; a straight line of knots stays one. A gripper, and a base's axis, whose value is a velocity, follow a
 * straight line. Before the first knot the first knot; after the last there is no setpoint.
 */
#ifndef EDGE_RUNTIME_PLAN_H
#define EDGE_RUNTIME_PLAN_H

#include <stdint.h>

/* bindings:begin */
#define PLAN_MAX_KNOTS 192
#define PLAN_MAX_AXES 32
#define PLAN_DIGEST_BYTES 32

typedef struct {
    uint64_t seq;           /* +1 per plan; a plan whose number is not above the last one is refused */
    uint64_t chunk_seq;     /* the chunk it came from */
    int64_t observation_ns; /* exposure of the observation behind that chunk */
    int64_t active_from_ns; /* evaluated from this instant on; until then the plan before it stays */
    uint32_t n_knots;
    uint32_t n_axes;
    uint64_t is_a_persons; /* 1: made for a person, who moves the robot whatever has become of its policy */
    double speed_scale;    /* of the joints' velocity limits while it is followed: above 0, at most 1 */
    uint8_t bundle_digest[PLAN_DIGEST_BYTES]; /* of the bundle whose policy made it; zero: not told */
    int64_t t_ns[PLAN_MAX_KNOTS]; /* strictly increasing */
    double q[PLAN_MAX_KNOTS][PLAN_MAX_AXES];
} loop_plan;

typedef enum {
    PLAN_OK = 0,
    PLAN_REFUSED_KNOTS = 1,      /* not 1 .. PLAN_MAX_KNOTS */
    PLAN_REFUSED_AXES = 2,       /* another number of axes than the robot */
    PLAN_REFUSED_TIMES = 3,      /* not strictly increasing, or further apart than 100 s */
    PLAN_REFUSED_NOT_FINITE = 4, /* NaN or infinity */
    PLAN_REFUSED_SEQUENCE = 5,   /* number not above the last plan's */
    PLAN_REFUSED_SPEED_SCALE = 6 /* not above 0 and at most 1 */
} plan_result;

/* PLAN_OK, or what is wrong with the plan's shape and numbers. */
int plan_check(const loop_plan *plan, uint32_t n_axes);

/* Writes n_axes values; 1, or 0 after the last knot (then nothing is written). linear has a bit for each axis that
 * follows straight lines. Needs a plan that passed plan_check(). */
int plan_evaluate(const loop_plan *plan, uint32_t linear, int64_t now_ns, double *q);

/* plan_evaluate() at count instants: rows of n_axes values, NaN after the last knot. */
void plan_evaluate_rows(const loop_plan *plan, uint32_t linear, const int64_t *t_ns, uint32_t count, double *rows);
/* bindings:end */

#endif
