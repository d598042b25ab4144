#ifndef EXPORTS_H
#define EXPORTS_H

#include <stdint.h>

#include "profile.h"

double export_smaller(double a, double b);
double export_larger(double a, double b);
double export_magnitude(double x);
double export_clamp(double x, double low, double high);
int export_finite_number(double x);
int export_in_range(double x, double low, double high);
int64_t export_elapsed(int64_t a, int64_t b);
profile_state export_profile_tick(profile_state state, double a, const profile_limits *limits);

#endif
