/* The safety kernel: setpoint in, what the robot may be told out, once per tick.
 *
 * Guarantees, for any input whatever (NaN, infinities, clocks running backwards): every command it returns while the
 * robot follows lies inside the position, velocity, acceleration and jerk limits of its config and inside its geometry,
 * and from every such state the robot can be stopped inside all of them; an in-limits trajectory passes unchanged;
 * after a fault nothing moves until reset and arm. Refuses to know: clocks, shared memory, allocation, where a setpoint
 * came from. Trusts: its config, once kernel_config_check() has passed it, and nothing else.
 *
 * Freestanding C11 but for sqrt(), floor() and ceil(). All state is the caller's. SI units.
 *
 * Invariant (safety reference 2B): a candidate for the next tick is taken only if the full stop rolled out from the
 * state it leads to stays inside every limit; else one between it and the stop, by one factor for all joints; else the
 * next tick of the stop verified before. The robot is armed at rest inside its limits, so a verified stop always exists.
 */
#ifndef EDGE_RUNTIME_KERNEL_H
#define EDGE_RUNTIME_KERNEL_H

#include <stdint.h>

#include "geometry.h"

/* stop_margin_m where there is nothing to keep away from. */
#define KERNEL_NO_MARGIN_M 1e9
#define KERNEL_BIT(name) ((uint64_t)1 << KERNEL_REASON_##name)

/* bindings:begin */
#define KERNEL_MAX_AXES 16
#define KERNEL_DIGEST_BYTES 32
#define KERNEL_TRAIL 8

typedef enum {
    KERNEL_SILENT = 0,     /* no usable feedback yet */
    KERNEL_READY = 1,      /* may be armed; the command repeats the measurement */
    KERNEL_ACTIVE = 2,     /* follows setpoints inside the limits */
    KERNEL_HOLDING = 3,    /* no valid setpoint: decelerates, rests, resumes with the next valid one */
    KERNEL_STOPPING = 4,   /* decelerates to READY, or to FAULT when something is latched */
    KERNEL_FAULT = 5,      /* latched: rests until reset */
    KERNEL_RETRACTING = 6, /* held too long: moves to the configured posture, slowly, then STOPPING */
    KERNEL_STATE_COUNT = 7
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
    KERNEL_EVENT_RETRACT = 11,   /* held too long, and there is a posture to go to */
    KERNEL_EVENT_RETRACTED = 12, /* arrived there, or out of time */
    KERNEL_EVENT_COUNT = 13
} kernel_event;

/* Why a verdict differs from its setpoint: numbers of the bits in kernel_verdict.reasons. */
typedef enum {
    /* setpoint refused: the tick decelerates */
    KERNEL_REASON_SETPOINT_NONE = 0,       /* there is none: no plan, or it has played out */
    KERNEL_REASON_SETPOINT_SHAPE = 1,      /* another number of joints */
    KERNEL_REASON_SETPOINT_NOT_FINITE = 2, /* NaN or infinity */
    KERNEL_REASON_SETPOINT_STALE = 3,      /* computed too long ago */
    KERNEL_REASON_SETPOINT_FUTURE = 4,     /* computed, or observed, after now */
    KERNEL_REASON_SETPOINT_SEQUENCE = 5,   /* a number already used, or lower */
    KERNEL_REASON_SETPOINT_SKIPPED = 6,    /* numbers are missing */
    KERNEL_REASON_OBSERVATION_STALE = 7,   /* the observation behind it is too old */
    KERNEL_REASON_SETPOINT_STEP = 8,       /* too far from the last command to be a motion */
    KERNEL_REASON_POLICY_LOST = 9,         /* the policy has been dead, stalled or stuck for too long */
    /* limits that acted */
    KERNEL_REASON_LIMIT_POSITION = 10,     /* the setpoint was outside the joint range */
    KERNEL_REASON_LIMIT_BRAKING = 11,      /* its stop would have left a joint's limits */
    KERNEL_REASON_LIMIT_VELOCITY = 12,
    KERNEL_REASON_LIMIT_ACCELERATION = 13,
    KERNEL_REASON_LIMIT_JERK = 14,
    KERNEL_REASON_LIMIT_GEOMETRY = 15,     /* its stop would have come too near to something, or could not be shown not to */
    KERNEL_REASON_LIMIT_TOOL_SPEED = 16,
    KERNEL_REASON_LIMIT_SPEED_SCALE = 17,  /* slower than the joint may: a lower speed is in force */
    KERNEL_REASON_LIMIT_SINGULARITY = 18,  /* slower, near a singular posture */
    KERNEL_REASON_LIMIT_GRIPPER = 19,      /* opening or its rate */
    /* what is known of the policy; alone they change nothing before POLICY_LOST */
    KERNEL_REASON_POLICY_DEAD = 20,        /* its process has ended */
    KERNEL_REASON_POLICY_STALLED = 21,     /* no sign of life */
    KERNEL_REASON_POLICY_STUCK = 22,       /* signs of life, but nothing new */
    /* feedback; all but torn trip an armed robot */
    KERNEL_REASON_FEEDBACK_TORN = 23,      /* could not be read this tick: the last one was used */
    KERNEL_REASON_FEEDBACK_SHAPE = 24,
    KERNEL_REASON_FEEDBACK_NOT_FINITE = 25,
    KERNEL_REASON_FEEDBACK_STALE = 26,
    KERNEL_REASON_FEEDBACK_FUTURE = 27,
    KERNEL_REASON_FEEDBACK_SEQUENCE = 28,  /* number or stamp went back */
    KERNEL_REASON_TRACKING_ERROR = 29,     /* measurement too far from the command of its instant */
    KERNEL_REASON_ENCODER_FROZEN = 30,     /* samples repeat each other to the bit, three or more, while the command moves away */
    KERNEL_REASON_TORQUE = 31,             /* a joint's torque, measured to be too large over the debounce time */
    KERNEL_REASON_FORCE = 32,              /* the measured force or moment at the tool, likewise */
    KERNEL_REASON_STOP_LINE = 33,
    KERNEL_REASON_DRIVER_FAULT = 34,
    KERNEL_REASON_OPERATOR_STOP = 35,
    KERNEL_REASON_CLOCK_BACKWARD = 36,     /* now did not advance */
    KERNEL_REASON_CLOCK_GAP = 37,          /* a gap longer than the driver's watchdog: it stopped by itself */
    KERNEL_REASON_HOLD_TIMEOUT = 38,       /* held too long: retracts or disarms */
    KERNEL_REASON_RETRACT_TIMEOUT = 39,    /* did not arrive in time: disarms where it is */
    KERNEL_REASON_INTERNAL = 40,           /* a contradiction in the kernel's own state */
    KERNEL_REASON_COUNT = 41
} kernel_reason;

typedef enum {
    KERNEL_REQUEST_ARM = 1,    /* READY -> HOLDING; the command becomes the measurement, brought inside the limits */
    KERNEL_REQUEST_DISARM = 2, /* decelerate, then READY */
    KERNEL_REQUEST_RESET = 3,  /* FAULT -> READY */
    KERNEL_REQUEST_STOP = 4    /* decelerate, then FAULT, from any state */
} kernel_request_kind;

typedef enum {
    KERNEL_DONE = 0,
    KERNEL_REFUSED_STATE = 1,          /* not possible from this state */
    KERNEL_REFUSED_FEEDBACK = 2,       /* missing, stale or malformed */
    KERNEL_REFUSED_MOVING = 3,         /* the robot is not at rest */
    KERNEL_REFUSED_OUTSIDE_LIMITS = 4, /* a joint or the gripper is measured outside its range */
    KERNEL_REFUSED_NO_WATCHDOG = 5,    /* the driver would not stop by itself within a second of control's death */
    KERNEL_REFUSED_STOP_LINE = 6,      /* stop line open, or the driver reports a fault */
    KERNEL_REFUSED_MISMATCH = 7,       /* measured position differs from the held command */
    KERNEL_REFUSED_UNKNOWN = 8,
    KERNEL_REFUSED_GEOMETRY = 9,       /* a link is where it may not be */
    KERNEL_REFUSED_LOOSER = 10,        /* while armed, limits can only be tightened */
    KERNEL_REFUSED_VALUE = 11          /* no such limit */
} kernel_result;

typedef enum {
    KERNEL_CONFIG_OK = 0,
    KERNEL_CONFIG_N_AXES = 1,              /* 1 .. KERNEL_MAX_AXES */
    KERNEL_CONFIG_TICK_NS = 2,               /* 0.1 ms .. 20 ms */
    KERNEL_CONFIG_Q_MIN = 3,             /* finite, |.| <= 1e3 */
    KERNEL_CONFIG_Q_MAX = 4,             /* finite, |.| <= 1e3, above q_min */
    KERNEL_CONFIG_DQ_MAX = 5,          /* 1e-3 .. 1e3 */
    KERNEL_CONFIG_DDQ_MAX = 6,        /* 1e-3 .. 1e5 */
    KERNEL_CONFIG_DDDQ_MAX = 7,       /* 1e-2 .. 1e8 */
    KERNEL_CONFIG_TRACKING_MAX = 8,      /* positive, <= 1e3 */
    KERNEL_CONFIG_TAU_MAX = 9,            /* positive, <= 1e6 */
    KERNEL_CONFIG_STEP_MAX = 10,         /* positive, <= 1e3 */
    KERNEL_CONFIG_RETRACT_RAD = 11,          /* inside the joint's range */
    KERNEL_CONFIG_RETRACT_SPEED_SCALE = 12,  /* above 0, at most 1 */
    KERNEL_CONFIG_GRIPPER_RANGE_M = 13,      /* finite, minimum below maximum */
    KERNEL_CONFIG_GRIPPER_RATE_M_S = 14,     /* positive, finite */
    KERNEL_CONFIG_REST_SPEED_RAD_S = 15,     /* positive, finite */
    KERNEL_CONFIG_RESET_TOLERANCE_RAD = 16,  /* positive, finite */
    KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS = 17,  /* positive */
    KERNEL_CONFIG_SETPOINT_MAX_AGE_NS = 18,  /* positive */
    KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS = 19, /* positive */
    KERNEL_CONFIG_FUTURE_TOLERANCE_NS = 20,  /* >= 0 */
    KERNEL_CONFIG_PLAY_MAX_NS = 21,          /* >= 0 */
    KERNEL_CONFIG_HOLD_TIMEOUT_NS = 22,      /* positive */
    KERNEL_CONFIG_RETRACT_TIMEOUT_NS = 23,   /* positive */
    KERNEL_CONFIG_DEBOUNCE_TICKS = 24,       /* 1 .. 10000 */
    KERNEL_CONFIG_FROZEN_TRAVEL_RAD = 25,    /* positive, <= 1e3 */
    KERNEL_CONFIG_FORCE_MAX_N = 26,          /* positive, <= 1e6 */
    KERNEL_CONFIG_MOMENT_MAX_NM = 27,        /* positive, <= 1e6 */
    KERNEL_CONFIG_TOOL_SPEED_MAX_M_S = 28,   /* 1e-3 .. 1e3 */
    KERNEL_CONFIG_MANIPULABILITY = 29,       /* slow_below and stop_below finite, 0 <= stop_below < slow_below, or both 0 */
    KERNEL_CONFIG_CLEARANCE_MIN_M = 30,      /* 0 .. 1 */
    KERNEL_CONFIG_GEOMETRY = 31,             /* geometry_check() refused it, or another number of joints */
    KERNEL_CONFIG_START_TOLERANCE_RAD = 32,  /* 0 .. 0.01 */
    KERNEL_CONFIG_START_TOLERANCE_M = 33     /* 0 .. 0.01 */
} kernel_config_error;

/* What may be tightened at run time; never looser than the config. */
typedef struct {
    double speed_scale;        /* of every joint's velocity limit: above 0, at most 1 */
    double tool_speed_max_m_s; /* at most the config's */
} kernel_tightening;

typedef struct {
    uint32_t n_joints;
    uint32_t retracts; /* there is a posture to retract to */
    int64_t tick_ns;
    double q_min[KERNEL_MAX_AXES];
    double q_max[KERNEL_MAX_AXES];
    double dq_max[KERNEL_MAX_AXES];
    double ddq_max[KERNEL_MAX_AXES];
    double dddq_max[KERNEL_MAX_AXES];
    double tracking_max[KERNEL_MAX_AXES]; /* largest |command when it was sampled - measurement| while armed */
    double tau_max[KERNEL_MAX_AXES];       /* largest |measured torque| while armed, where the driver offers it */
    double step_max[KERNEL_MAX_AXES];     /* a setpoint further than this from the last command is refused */
    double retract_rad[KERNEL_MAX_AXES];
    double retract_speed_scale;
    double gripper_min_m;
    double gripper_max_m;
    double gripper_rate_m_s;
    double rest_speed_rad_s;    /* arming: largest measured |speed| */
    double reset_tolerance_rad; /* reset: largest |held command - measurement| */
    double start_tolerance_rad; /* arming: a joint measured so far outside its range, or from where it was left, starts there */
    double start_tolerance_m;   /* likewise the gripper outside its range */
    double frozen_travel_rad;   /* a joint commanded so far between samples that repeat each other to the bit is frozen */
    double force_max_n;         /* at the tool, where the driver offers it */
    double moment_max_nm;
    double tool_speed_max_m_s;  /* with geometry only */
    double manipulability_slow_below; /* below it speed is scaled down, to a tenth at manipulability_stop_below; 0: never */
    double manipulability_stop_below;
    double clearance_min_m;     /* kept from every plane, zone and paired capsule */
    int64_t feedback_max_age_ns;
    int64_t setpoint_max_age_ns;
    int64_t observation_max_age_ns;
    int64_t future_tolerance_ns; /* how far ahead of now a stamp may be */
    int64_t play_max_ns;         /* how long a lost policy's plan is still followed */
    int64_t hold_timeout_ns;     /* HOLDING for longer retracts, or disarms */
    int64_t retract_timeout_ns;
    uint32_t debounce_ticks;     /* torque and force trip when samples over so many ticks in a row are too large */
    uint32_t reserved;
    uint8_t digest[KERNEL_DIGEST_BYTES]; /* of the file these limits came from; in every verdict */
    geometry_model geometry;
} kernel_config;

typedef struct {
    int64_t stamp_ns;
    uint64_t seq;
    double q[KERNEL_MAX_AXES];
    double dq[KERNEL_MAX_AXES];
    double tau[KERNEL_MAX_AXES];
    double wrench[6]; /* force N and moment Nm at the tool */
    double gripper_m;
    uint64_t watchdog_ns; /* the driver's own; 0: none */
    uint32_t n;
    uint32_t present;      /* 0: nothing has ever been measured */
    uint32_t torn;         /* this tick's read failed; the fields are those of the last good one */
    uint32_t stop_line;    /* the stop line is open */
    uint32_t driver_fault;
    uint32_t has_torque;
    uint32_t has_wrench;
    uint32_t reserved;
} kernel_feedback;

typedef enum {
    KERNEL_POLICY_ALIVE = 0,
    KERNEL_POLICY_DEAD = 1,
    KERNEL_POLICY_STALLED = 2,
    KERNEL_POLICY_STUCK = 3
} kernel_policy;

typedef struct {
    int64_t stamp_ns;       /* when it was computed */
    int64_t observation_ns; /* exposure of the observation behind it */
    uint64_t seq;           /* +1 per setpoint */
    int64_t policy_lost_ns; /* when the policy was found not to be alive */
    double q[KERNEL_MAX_AXES];
    double gripper_m;
    double speed_scale; /* of the velocity limits, above 0, at most 1 */
    uint32_t n;
    uint32_t present; /* 0: there is none; policy is still told */
    uint32_t policy;  /* kernel_policy */
    uint32_t reserved;
    uint8_t bundle_digest[KERNEL_DIGEST_BYTES];
} kernel_setpoint;

typedef struct {
    double q[KERNEL_MAX_AXES];          /* last command */
    double dq[KERNEL_MAX_AXES];       /* its velocity over the last tick */
    double ddq[KERNEL_MAX_AXES];     /* its acceleration over the last tick */
    double target_rad[KERNEL_MAX_AXES];     /* last accepted setpoint, inside the range */
    double target_rad_s[KERNEL_MAX_AXES];   /* its speed over the last tick */
    double measured_rad[KERNEL_MAX_AXES];   /* last measurement */
    double shown_least_rad[KERNEL_MAX_AXES]; /* where the joint can be, by every sample since it last changed: from the */
    double shown_most_rad[KERNEL_MAX_AXES];  /* one to the other; frozen if the other way round by too much */
    double left_rad[KERNEL_MAX_AXES];       /* last command to an armed robot */
    double trail_rad[KERNEL_TRAIL][KERNEL_MAX_AXES]; /* commands of the time that feedback may come from, newest first */
    double gripper_m;
    kernel_tightening tightening;
    int64_t last_now_ns;
    int64_t hold_since_ns;
    int64_t retract_since_ns;
    int64_t feedback_stamp_ns;
    int64_t torque_since_ns; /* stamp of the first of the samples in a row above the limit */
    int64_t force_since_ns;
    int64_t trail_ns[KERNEL_TRAIL];
    uint64_t feedback_seq;
    uint64_t setpoint_seq;
    uint64_t faults; /* latched reasons */
    uint32_t state;  /* kernel_state_name */
    uint32_t has_now;
    uint32_t has_target;
    uint32_t has_feedback_seq;
    uint32_t has_setpoint_seq;
    uint32_t has_command; /* q has been commanded since the last READY: a reset must find the robot there */
    uint32_t has_left;    /* left_rad holds one */
    uint32_t over_torque; /* the last sample is above the limit */
    uint32_t over_force;
    uint32_t reserved;
} kernel_state;

typedef struct {
    double q[KERNEL_MAX_AXES];
    double dq[KERNEL_MAX_AXES];
    double ddq[KERNEL_MAX_AXES];
    double gripper_m;
    double accepted;        /* 1: the tick moves as wanted; 0: it is the verified stop; between: by this common factor */
    double speed_scale;     /* in force: the smallest of all that were asked for */
    double stop_margin_rad; /* smallest distance to a position limit over a full stop from here */
    double stop_margin_m;   /* smallest clearance seen along it, as geometry_clearance has it; KERNEL_NO_MARGIN_M without */
    double time_to_rest_s;
    uint64_t reasons; /* of this tick */
    uint64_t faults;  /* latched */
    uint32_t state;   /* kernel_state_name */
    uint32_t stop_margin_joint;
    uint8_t config_digest[KERNEL_DIGEST_BYTES];
    uint8_t bundle_digest[KERNEL_DIGEST_BYTES]; /* of the setpoint that was followed, else zero */
} kernel_verdict;

/* KERNEL_CONFIG_OK, or the first field that does not hold what its comment says; *index is that of the culprit: joint,
 * or for KERNEL_CONFIG_GEOMETRY whatever geometry_check() told. */
int kernel_config_check(const kernel_config *config, uint32_t *index);

/* Silent, everything zero but the tightening, which is the config's own. */
void kernel_init(kernel_state *state, const kernel_config *config);

/* One tick of config->tick_ns. Total: every input has a verdict. */
void kernel_step(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback,
                 const kernel_setpoint *setpoint, int64_t now_ns, kernel_verdict *verdict);

/* Between ticks. A kernel_result; anything but KERNEL_DONE has changed nothing. */
int kernel_request(kernel_state *state, const kernel_config *config, const kernel_feedback *feedback, uint32_t request,
                   int64_t now_ns);

/* Between ticks. Tighter at any time, looser (up to the config) only while not armed. */
int kernel_tighten(kernel_state *state, const kernel_config *config, const kernel_tightening *tightening);

/* What would happen: `count` setpoints of consecutive ticks through the same limits, from where state stands, without
 * feedback or clock. Fills `count` verdicts and leaves state untouched; the state in them is that of now, and they name no
 * bundle. */
void kernel_rehearse(const kernel_state *state, const kernel_config *config, const kernel_setpoint *setpoints,
                     uint32_t count, kernel_verdict *verdicts);

/* The state after event, or KERNEL_STATE_COUNT where the table has no such pair. */
uint32_t kernel_transition(uint32_t state, uint32_t event);
/* bindings:end */

#endif
