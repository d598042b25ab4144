/* Random robots and what comes at them: hostile and policy-like setpoints, honest and broken feedback, requests,
 * tightenings. A seed decides everything, to the bit and on every machine: sums, products, square roots and the kernel's own
 * sine only.
 * Knows nothing of how the kernel works; its robots are those that kernel_config_check() lets pass. */
#ifndef FUZZ_STREAM_H
#define FUZZ_STREAM_H

#include "kernel.h"

typedef enum {
    STYLE_NOISE,    /* white, over twice the range */
    STYLE_BANG,     /* from end to end, twice the range */
    STYLE_RAMP,     /* up and down at up to twice the speed limit */
    STYLE_SMOOTH,   /* splines through random postures, as a policy plays them */
    STYLE_SEAMS,    /* the same, with steps where chunks meet */
    STYLE_TREMBLE,  /* small white noise around the last command */
    STYLE_JUMPS,    /* rests, then somewhere else at once */
    STYLE_WEIRD,    /* NaN, infinities, denormals, huge numbers, broken stamps and numbers */
    STYLE_COUNT
} fuzz_style;

typedef struct {
    uint64_t random;
    fuzz_style style;
    int hostile; /* feedback, clocks and the policy break now and then */
    uint64_t ticks;
    uint64_t setpoint_seq;
    int64_t now_ns;
    kernel_config config;
    kernel_feedback feedback;
    kernel_setpoint setpoint;
    double real[KERNEL_MAX_AXES];  /* where the robot is; of a velocity axis how fast */
    double place[3];               /* where its base is in the world: x m, y m, yaw rad */
    double target[KERNEL_MAX_AXES];
    double from[KERNEL_MAX_AXES];
    double to[KERNEL_MAX_AXES];
    double way, way_per_tick; /* along the spline, 0 to 1 */
    double noise;            /* of every sample of a position */
    uint32_t wraps;          /* what turns without end is measured and asked for within one turn */
    uint32_t period_ticks;   /* of the driver's samples */
    uint32_t frozen_ticks, torque_ticks, silent_ticks, policy_ticks, held_ticks;
} fuzz_stream;

uint64_t fuzz_bits(uint64_t *random);
uint32_t fuzz_below(uint64_t *random, uint32_t n);
double fuzz_uniform(uint64_t *random, double low, double high);
/* Between 10^low and 10^high, every decade alike. */
double fuzz_decade(uint64_t *random, int low, int high);

/* A robot, where it stands, and a style of setpoints; with_geometry: an arm with links, walls and things to avoid. */
void fuzz_open(fuzz_stream *stream, uint64_t seed, int with_geometry);

/* What the next tick gets: now_ns, feedback and setpoint. command: of the last verdict, NULL before the first. */
void fuzz_next(fuzz_stream *stream, const kernel_verdict *command);

/* A kernel_request_kind (or nonsense) to send before the next tick, or 0: none. */
uint32_t fuzz_request(fuzz_stream *stream, uint32_t state);

/* 1: *tightening is to be sent before the next tick. */
int fuzz_tightening(fuzz_stream *stream, kernel_tightening *tightening);

/* Of fuzz_arm.c: gives stream->config a geometry that its real posture keeps clear of. */
void fuzz_build_arm(fuzz_stream *stream);

/* Of fuzz_geometry.c: the kernel's geometry over again, from the definition, with libm. The smallest distance of any
 * capsule from what it is kept from, 1e9 without; the speed of a tool in the world. q and dq are by axis; base is where the
 * base is in the world (x, y, yaw), drive its velocity in its own frame, all zeros for one that stands. */
double fuzz_clearance_m(const geometry_model *model, const double *base, const double *q);
double fuzz_tool_speed_m_s(const geometry_model *model, const double *base, const double *drive, const double *q,
                           const double *dq, uint32_t tool);
/* Distances of two capsules given by their ends in the world; of one from a box. */
double fuzz_pair_m(const double *a, const double *b, const double *c, const double *d, double radii_m);
double fuzz_box_m(const double *a, const double *b, const geometry_keepout *box, double radius_m);

#define FUZZ_NOWHERE_M 1e9

#endif
