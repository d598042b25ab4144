/* The safety kernel: setpoint in, what the robot may be told out, once per tick.
 *
 * Guarantees, for any input whatever (NaN, infinities, clocks running backwards): every command it returns while the
 * robot follows lies inside the position, velocity and acceleration limits of its config, and from every such state
 * the robot can be stopped inside them; an in-limits trajectory passes unchanged; after a fault nothing moves until
 * reset and arm. Refuses to know: clocks, shared memory, allocation, where a setpoint came from. Trusts: its config,
 * once kernel_config_check() has passed it, and nothing else.
 *
 * Freestanding C11 but for sqrt() and floor(). All state is the caller's. SI units.
 *
 * Invariant (safety reference 2A): with d the distance to a position limit and T the tick, |u| <= V, |u - v| <= A T and
 * u <= s(d) = sqrt(2 A d) - A T / 2 leave a non-empty interval for the next velocity u in every reachable state, so
 * limits hold by induction from an armed state at rest.
 */
#ifndef EDGE_RUNTIME_KERNEL_H
#define EDGE_RUNTIME_KERNEL_H

#include <stdint.h>

/* bindings:begin */
#define KERNEL_MAX_JOINTS 16

typedef enum {
    KERNEL_SILENT = 0,   /* no usable feedback yet */
    KERNEL_READY = 1,    /* may be armed; the command repeats the measurement */
    KERNEL_ACTIVE = 2,   /* follows setpoints inside the limits */
    KERNEL_HOLDING = 3,  /* no valid setpoint: decelerates, rests, resumes with the next valid one */
    KERNEL_STOPPING = 4, /* decelerates to READY, or to FAULT when something is latched */
    KERNEL_FAULT = 5,    /* latched: rests until reset */
    KERNEL_STATE_COUNT = 6
} kernel_state_name;

typedef enum {
    KERNEL_EVENT_FEEDBACK_GOOD = 0,
    KERNEL_EVENT_FEEDBACK_LOST = 1,
    KERNEL_EVENT_TRIP = 2,
    KERNEL_EVENT_ARM = 3,
    KERNEL_EVENT_DISARM = 4,
    KERNEL_EVENT_RESET = 5,
    KERNEL_EVENT_SETPOINT = 6,
    KERNEL_EVENT_SETPOINT_LOST = 7,
    KERNEL_EVENT_HOLD_TIMEOUT = 8,
    KERNEL_EVENT_SETTLED = 9,
    KERNEL_EVENT_SETTLED_LATCHED = 10,
    KERNEL_EVENT_COUNT = 11
} kernel_event;

/* Why a verdict differs from its setpoint; bits. */
typedef enum {
    /* setpoint refused: the tick decelerates */
    KERNEL_REASON_SETPOINT_NONE = 1u << 0,       /* there is none: no plan, or it has played out */
    KERNEL_REASON_SETPOINT_SHAPE = 1u << 1,      /* another number of joints */
    KERNEL_REASON_SETPOINT_NOT_FINITE = 1u << 2, /* NaN or infinity */
    KERNEL_REASON_SETPOINT_STALE = 1u << 3,      /* computed too long ago */
    KERNEL_REASON_SETPOINT_FUTURE = 1u << 4,     /* computed, or observed, after now */
    KERNEL_REASON_SETPOINT_SEQUENCE = 1u << 5,   /* a number already used, or lower */
    KERNEL_REASON_SETPOINT_SKIPPED = 1u << 6,    /* numbers are missing */
    KERNEL_REASON_OBSERVATION_STALE = 1u << 7,   /* the observation behind it is too old */
    /* limits that acted */
    KERNEL_REASON_LIMIT_POSITION = 1u << 8,      /* the setpoint was outside the joint range */
    KERNEL_REASON_LIMIT_BRAKING = 1u << 9,       /* too fast to stop before the end of the range */
    KERNEL_REASON_LIMIT_VELOCITY = 1u << 10,
    KERNEL_REASON_LIMIT_ACCELERATION = 1u << 11,
    KERNEL_REASON_LIMIT_GRIPPER = 1u << 12,      /* opening or its rate */
    /* feedback; all but torn trip an armed robot */
    KERNEL_REASON_FEEDBACK_TORN = 1u << 13,      /* could not be read this tick: the last one was used */
    KERNEL_REASON_FEEDBACK_SHAPE = 1u << 14,
    KERNEL_REASON_FEEDBACK_NOT_FINITE = 1u << 15,
    KERNEL_REASON_FEEDBACK_STALE = 1u << 16,
    KERNEL_REASON_FEEDBACK_FUTURE = 1u << 17,
    KERNEL_REASON_FEEDBACK_SEQUENCE = 1u << 18,  /* number or stamp went back */
    KERNEL_REASON_TRACKING_ERROR = 1u << 19,     /* measurement too far from the command */
    KERNEL_REASON_STOP_LINE = 1u << 20,
    KERNEL_REASON_DRIVER_FAULT = 1u << 21,
    KERNEL_REASON_OPERATOR_STOP = 1u << 22,
    KERNEL_REASON_CLOCK_BACKWARD = 1u << 23,     /* now did not advance */
    KERNEL_REASON_CLOCK_GAP = 1u << 24,          /* a gap longer than the driver's watchdog: it stopped by itself */
    KERNEL_REASON_HOLD_TIMEOUT = 1u << 25,       /* held too long: disarmed */
    KERNEL_REASON_INTERNAL = 1u << 26            /* a contradiction in the kernel's own state */
} kernel_reason;

typedef enum {
    KERNEL_REQUEST_ARM = 1,    /* READY -> HOLDING; the command becomes the measurement */
    KERNEL_REQUEST_DISARM = 2, /* decelerate, then READY */
    KERNEL_REQUEST_RESET = 3,  /* FAULT -> READY */
    KERNEL_REQUEST_STOP = 4    /* decelerate, then FAULT, from any state */
} kernel_request_kind;

typedef enum {
    KERNEL_DONE = 0,
    KERNEL_REFUSED_STATE = 1,          /* not possible from this state */
    KERNEL_REFUSED_FEEDBACK = 2,       /* missing, stale or malformed */
    KERNEL_REFUSED_MOVING = 3,         /* the robot is not at rest */
    KERNEL_REFUSED_OUTSIDE_LIMITS = 4, /* a joint is measured outside its range */
    KERNEL_REFUSED_NO_WATCHDOG = 5,    /* the driver would not stop by itself if control died */
    KERNEL_REFUSED_STOP_LINE = 6,      /* stop line open, or the driver reports a fault */
    KERNEL_REFUSED_MISMATCH = 7,       /* measured position differs from the held command */
    KERNEL_REFUSED_UNKNOWN = 8
} kernel_result;

typedef enum {
    KERNEL_CONFIG_OK = 0,
    KERNEL_CONFIG_N_JOINTS = 1,              /* 1 .. KERNEL_MAX_JOINTS */
    KERNEL_CONFIG_TICK_NS = 2,               /* 0.1 ms .. 20 ms */
    KERNEL_CONFIG_Q_MIN_RAD = 3,             /* finite, |.| <= 1e3 */
    KERNEL_CONFIG_Q_MAX_RAD = 4,             /* finite, |.| <= 1e3, above q_min_rad */
    KERNEL_CONFIG_DQ_MAX_RAD_S = 5,          /* 1e-3 .. 1e3 */
    KERNEL_CONFIG_DDQ_MAX_RAD_S2 = 6,        /* 1e-3 .. 1e5 */
    KERNEL_CONFIG_TRACKING_MAX_RAD = 7,      /* positive, <= 1e3 */
    KERNEL_CONFIG_GRIPPER_RANGE_M = 8,       /* finite, minimum below maximum */
    KERNEL_CONFIG_GRIPPER_RATE_M_S = 9,      /* positive, finite */
    KERNEL_CONFIG_REST_SPEED_RAD_S = 10,     /* positive, finite */
    KERNEL_CONFIG_RESET_TOLERANCE_RAD = 11,  /* positive, finite */
    KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS = 12,  /* positive */
    KERNEL_CONFIG_SETPOINT_MAX_AGE_NS = 13,  /* positive */
    KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS = 14, /* positive */
    KERNEL_CONFIG_FUTURE_TOLERANCE_NS = 15,  /* >= 0 */
    KERNEL_CONFIG_HOLD_TIMEOUT_NS = 16       /* positive */
} kernel_config_error;

typedef struct {
    uint32_t n_joints;
    int64_t tick_ns;
    double q_min_rad[KERNEL_MAX_JOINTS];
    double q_max_rad[KERNEL_MAX_JOINTS];
    double dq_max_rad_s[KERNEL_MAX_JOINTS];
    double ddq_max_rad_s2[KERNEL_MAX_JOINTS];
    double tracking_max_rad[KERNEL_MAX_JOINTS]; /* largest |command - measurement| while armed */
    double gripper_min_m;
    double gripper_max_m;
    double gripper_rate_m_s;
    double rest_speed_rad_s;    /* arming: largest measured |speed| */
    double reset_tolerance_rad; /* reset: largest |held command - measurement| */
    int64_t feedback_max_age_ns;
    int64_t setpoint_max_age_ns;
    int64_t observation_max_age_ns;
    int64_t future_tolerance_ns; /* how far ahead of now a stamp may be */
    int64_t hold_timeout_ns;     /* HOLDING for longer disarms */
} kernel_config;

typedef struct {
    int64_t stamp_ns;
    uint64_t seq;
    double q_rad[KERNEL_MAX_JOINTS];
    double dq_rad_s[KERNEL_MAX_JOINTS];
    double gripper_m;
    uint64_t watchdog_ns; /* the driver's own; 0: none */
    uint32_t n;
    uint32_t present;      /* 0: nothing has ever been measured */
    uint32_t torn;         /* this tick's read failed; the fields are those of the last good one */
    uint32_t stop_line;    /* the stop line is open */
    uint32_t driver_fault;
} kernel_feedback;

typedef struct {
    int64_t stamp_ns;       /* when it was computed */
    int64_t observation_ns; /* exposure of the observation behind it */
    uint64_t seq;           /* +1 per setpoint */
    double q_rad[KERNEL_MAX_JOINTS];
    double gripper_m;
    uint32_t n;
    uint32_t present; /* 0: there is none */
} kernel_setpoint;

typedef struct {
    double q_rad[KERNEL_MAX_JOINTS];      /* last command */
    double dq_rad_s[KERNEL_MAX_JOINTS];   /* its velocity over the last tick */
    double target_rad[KERNEL_MAX_JOINTS]; /* last accepted setpoint, inside the range */
    double gripper_m;
    int64_t last_now_ns;
    int64_t hold_since_ns;
    int64_t feedback_stamp_ns;
    uint64_t feedback_seq;
    uint64_t setpoint_seq;
    uint64_t faults; /* latched reasons */
    uint32_t state;  /* kernel_state_name */
    uint32_t has_now;
    uint32_t has_target;
    uint32_t has_feedback_seq;
    uint32_t has_setpoint_seq;
    uint32_t has_command; /* q_rad has been commanded since the last READY: a reset must find the robot there */
} kernel_state;

typedef struct {
    double q_rad[KERNEL_MAX_JOINTS];
    double dq_rad_s[KERNEL_MAX_JOINTS];
    double gripper_m;
    double stop_margin_rad; /* smallest distance to a position limit after a full stop from here */
    double time_to_rest_s;
    uint64_t reasons; /* of this tick */
    uint64_t faults;  /* latched */
    uint32_t state;   /* kernel_state_name */
    uint32_t stop_margin_joint;
} kernel_verdict;

/* KERNEL_CONFIG_OK, or the first field that does not hold what its comment says; *joint is its index for arrays. */
int kernel_config_check(const kernel_config *config, uint32_t *joint);

/* Silent, everything zero. */
void kernel_init(kernel_state *state);

/* One tick of config->tick_ns. Total: every input has a verdict. */
void kernel_step(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                 const kernel_setpoint *setpoint, int64_t now_ns, kernel_verdict *verdict);

/* Between ticks. A kernel_result; anything but KERNEL_DONE has changed nothing. */
int kernel_request(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback, uint32_t request,
                   int64_t now_ns);

/* The state after event, or KERNEL_STATE_COUNT where the table has no such pair. */
uint32_t kernel_transition(uint32_t state, uint32_t event);
/* bindings:end */

#endif
