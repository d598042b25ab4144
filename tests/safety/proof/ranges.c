/* Where interval analysis is enough: Frama-C's EVA runs these calls for every value of their arguments at once, NaN and
 * infinities included, and must show each check and find no operation that could go wrong. */
#include "__fc_builtin.h"
#include "number.h"
#include "profile.c"

static volatile double any_double; /* each read gives any of the 2^64 patterns */

static profile_limits any_limits(void) {
    /* What kernel_config_check() lets pass. */
    return (profile_limits){Frama_C_double_interval(1e-3, 1e5), Frama_C_double_interval(1e-2, 1e8),
                            Frama_C_double_interval(1e-4, 2e-2)};
}

int main(void) {
    const profile_limits limits = any_limits();
    const double rate = landing_rate(any_double, limits.jerk_max, limits.tick);
    /*@ check landing_rate_not_negative: \is_NaN(rate) || \ge_double(rate, (double)0.0); */

    const profile_state state = {Frama_C_double_interval(-1e3, 1e3), Frama_C_double_interval(-1e3, 1e3), Frama_C_double_interval(-1e5, 1e5)};
    const profile_state after = profile_tick(state, Frama_C_double_interval(-1e5, 1e5), &limits);
    /*@ check tick_stays_finite: \is_finite(after.q) && \is_finite(after.v) && \is_finite(after.a); */
    /*@ check tick_moves_by_its_speed: -1.1e3 <= after.q <= 1.1e3 && -3e3 <= after.v <= 3e3; */
    return 0;
}
