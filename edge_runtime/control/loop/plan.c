/* See plan.h. */
#include "plan.h"

#include <math.h>
#include <stddef.h>

#define SEGMENT_MAX_NS 100000000000ll

int plan_check(const loop_plan *plan, uint32_t n_axes) {
    if (plan->n_knots < 1u || plan->n_knots > PLAN_MAX_KNOTS) return PLAN_REFUSED_KNOTS;
    if (plan->n_axes != n_axes || n_axes < 1u || n_axes > PLAN_MAX_AXES) return PLAN_REFUSED_AXES;
    if (!(plan->speed_scale > 0.0 && plan->speed_scale <= 1.0)) return PLAN_REFUSED_SPEED_SCALE;
    for (uint32_t k = 0; k < plan->n_knots; k++) {
        if (k > 0u) {
            const int64_t before = plan->t_ns[k - 1u];
            /* Compared before it is subtracted: the difference of hostile stamps may not overflow. */
            if (plan->t_ns[k] <= before || before > INT64_MAX - SEGMENT_MAX_NS ||
                plan->t_ns[k] > before + SEGMENT_MAX_NS)
                return PLAN_REFUSED_TIMES;
        }
        int bad = 0;
        for (uint32_t i = 0; i < n_axes; i++) bad |= !isfinite(plan->q[k][i]);
        if (bad) return PLAN_REFUSED_NOT_FINITE;
    }
    return PLAN_OK;
}

static double seconds(const loop_plan *plan, uint32_t from, uint32_t to) {
    return (double)(plan->t_ns[to] - plan->t_ns[from]) * 1e-9;
}

static double slope(const loop_plan *plan, uint32_t k, uint32_t i) {
    return (plan->q[k + 1u][i] - plan->q[k][i]) / seconds(plan, k, k + 1u);
}

static double tangent(const loop_plan *plan, uint32_t k, uint32_t i) {
    if (k == 0u) return slope(plan, 0u, i);
    if (k == plan->n_knots - 1u) return slope(plan, k - 1u, i);
    const double before = seconds(plan, k - 1u, k);
    const double after = seconds(plan, k, k + 1u);
    return (slope(plan, k - 1u, i) * after + slope(plan, k, i) * before) / (before + after);
}

static void knot(const loop_plan *plan, uint32_t k, double *q) {
    for (uint32_t i = 0; i < plan->n_axes; i++) q[i] = plan->q[k][i];
}

int plan_evaluate(const loop_plan *plan, uint32_t linear, int64_t now_ns, double *q) {
    const uint32_t last = plan->n_knots - 1u;
    if (now_ns > plan->t_ns[last]) return 0;
    if (now_ns == plan->t_ns[last]) {
        knot(plan, last, q);
        return 1;
    }
    if (now_ns <= plan->t_ns[0]) {
        knot(plan, 0u, q);
        return 1;
    }
    uint32_t low = 0u;
    uint32_t high = last;
    while (high - low > 1u) {
        const uint32_t middle = (low + high) / 2u;
        if (plan->t_ns[middle] <= now_ns)
            low = middle;
        else
            high = middle;
    }
    const double length = seconds(plan, low, high);
    const double s = (double)(now_ns - plan->t_ns[low]) * 1e-9 / length;
    /* Written as a blend from the left knot, so that equal knots give exactly their value. */
    const double s2 = s * s;
    const double rise = s2 * (3.0 - 2.0 * s);
    const double from = s * (1.0 - s) * (1.0 - s) * length;
    const double to = s2 * (s - 1.0) * length;
    for (uint32_t i = 0; i < plan->n_axes; i++) {
        const double q0 = plan->q[low][i];
        if (linear >> i & 1u)
            q[i] = q0 + s * (plan->q[high][i] - q0);
        else
            q[i] = q0 + rise * (plan->q[high][i] - q0) + from * tangent(plan, low, i) + to * tangent(plan, high, i);
    }
    return 1;
}

void plan_evaluate_rows(const loop_plan *plan, uint32_t linear, const int64_t *t_ns, uint32_t count, double *rows) {
    for (uint32_t k = 0; k < count; k++) {
        double *row = rows + (size_t)k * plan->n_axes;
        if (plan_evaluate(plan, linear, t_ns[k], row)) continue;
        for (uint32_t i = 0; i < plan->n_axes; i++) row[i] = NAN;
    }
}
