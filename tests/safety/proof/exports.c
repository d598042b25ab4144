/* The functions of headers, which are static there, under names that battery.c can call. */
#include "exports.h"

#include "number.h"
#include "profile.h"

double export_smaller(double a, double b) { return smaller(a, b); }
double export_larger(double a, double b) { return larger(a, b); }
double export_magnitude(double x) { return magnitude(x); }
double export_clamp(double x, double low, double high) { return clamp(x, low, high); }
int export_finite_number(double x) { return finite_number(x); }
int export_in_range(double x, double low, double high) { return in_range(x, low, high); }
int64_t export_elapsed(int64_t a, int64_t b) { return elapsed(a, b); }
profile_state export_profile_tick(profile_state state, double a, const profile_limits *limits) {
    return profile_tick(state, a, limits);
}
