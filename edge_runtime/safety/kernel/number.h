/* Arithmetic that is total: every function here has a result for every input, NaN and infinities included. */
#ifndef EDGE_RUNTIME_NUMBER_H
#define EDGE_RUNTIME_NUMBER_H

#include <stdint.h>

static inline double smaller(double a, double b) { return b < a ? b : a; }
static inline double larger(double a, double b) { return b > a ? b : a; }
static inline double magnitude(double x) { return x < 0.0 ? -x : x; }

/* x inside [low, high]; low for a NaN. Needs low <= high, neither of them NaN. */
static inline double clamp(double x, double low, double high) { return larger(low, smaller(x, high)); }

/* False for NaN and for both infinities. */
static inline int finite_number(double x) { return magnitude(x) <= 1.7976931348623157e308; }

static inline int in_range(double x, double low, double high) { return x >= low && x <= high; }

/* a - b, held at the end of int64 on a's side instead of overflowing: it did if a and b differ in sign, and the difference
 * is not of a's. */
static inline int64_t elapsed(int64_t a, int64_t b) {
    const int64_t wrapped = (int64_t)((uint64_t)a - (uint64_t)b);
    return ((a ^ b) & (a ^ wrapped)) >= 0 ? wrapped : (int64_t)((uint64_t)INT64_MAX + ((uint64_t)a >> 63));
}

#endif
