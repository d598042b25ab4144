/* What the clamp and braking functions promise for every double there is, NaN and infinities included, in ACSL; WP proves
 * each promise from the kernel's own code, which is included below as it stands. Promises are about bits: comparisons of
 * floating-point numbers, never of the reals that they stand for. */
#include "profile.h"

#define NUMBER(x) \is_finite(x)
#define INSIDE(x, least, most) (\ge_double(x, least) && \le_double(x, most))
#define WITHIN(x, most) INSIDE(x, \neg_double(most), most)
/* What kernel_config_check() lets pass, in powers of two around it. */
#define SANE(l)                                                                    \
    (\valid_read(l) && NUMBER((l)->accel_max) && NUMBER((l)->jerk_max) && NUMBER((l)->tick) && \
     INSIDE((l)->accel_max, (double)0x1p-10, (double)0x1p17) && INSIDE((l)->jerk_max, (double)0x1p-7, (double)0x1p27) && \
     INSIDE((l)->tick, (double)0x1p-14, (double)0x1p-5))

/*@ requires NUMBER(low) && NUMBER(high) && \le_double(low, high);
  @ assigns \nothing;
  @ ensures never_nan: NUMBER(\result);
  @ ensures inside: INSIDE(\result, low, high);
  @ ensures of_nan: \is_NaN(x) ==> \eq_double(\result, low);
  @ ensures unchanged_inside: INSIDE(x, low, high) ==> \eq_double(\result, x);
  @ ensures from_below: \lt_double(x, low) ==> \eq_double(\result, low);
  @ ensures from_above: \gt_double(x, high) ==> \eq_double(\result, high); */
static inline double clamp(double x, double low, double high);

/*@ assigns \nothing;
  @ ensures exactly_the_finite: \result != 0 <==> NUMBER(x); */
static inline int finite_number(double x);

/*@ assigns \nothing;
  @ ensures exactly_inside: \result != 0 <==> INSIDE(x, low, high);
  @ ensures never_nan: \is_NaN(x) ==> \result == 0; */
static inline int in_range(double x, double low, double high);

/* Proved by EVA, in ranges.c. */
/*@ assigns \nothing;
  @ ensures \is_NaN(\result) || \ge_double(\result, (double)0.0); */
double landing_rate(double distance, double slope, double tick);

/* Whatever the landing rate, even one that is no number. */
/*@ requires SANE(limits);
  @ assigns \nothing;
  @ ensures never_nan: NUMBER(\result);
  @ ensures inside: INSIDE(\result, (double)0.0, limits->accel_max); */
static double braking_rate(double speed, const profile_limits *limits);

/* The stop's next acceleration: whatever the speed, inside the acceleration limit and one step of jerk from the last. */
/*@ requires SANE(limits) && NUMBER(a) && WITHIN(a, limits->accel_max);
  @ assigns \nothing;
  @ ensures never_nan: NUMBER(\result);
  @ ensures acceleration: WITHIN(\result, limits->accel_max); */
double stop_accel(double v, double a, const profile_limits *limits);

/* The jerk of the stop, in the words of C: ACSL would add reals. */
/*@ requires SANE(limits) && NUMBER(a) && WITHIN(a, limits->accel_max);
  @ assigns \nothing;
  @ ensures jerk: \result != 0; */
static int stop_keeps_jerk(double v, double a, const profile_limits *limits);

#include "number.h"
#include "profile.c"

static int stop_keeps_jerk(double v, double a, const profile_limits *limits) {
    const double step = limits->jerk_max * limits->tick;
    const double next = stop_accel(v, a, limits);
    return in_range(next, a - step, a + step);
}
