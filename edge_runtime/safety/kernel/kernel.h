/* The safety kernel: setpoint in, what the robot may be told out, once per tick.
 *
 * A robot is up to 32 axes of any kind; every vector has one value for each, in its axis's own SI unit.
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
 * state it leads to stays inside every limit; else one between it and the stop, by one factor for all axes; else the
 * next tick of the stop verified before. The robot is armed at rest inside its limits, so a verified stop always exists.
 * Grippers move no link that is watched, and are kept to their range and rate by themselves.
 */
#ifndef EDGE_RUNTIME_KERNEL_H
#define EDGE_RUNTIME_KERNEL_H

#include <stdint.h>

#include "geometry.h"

/* stop_margin_m where there is nothing to keep away from, and stop_margin where no axis has a range. */
#define KERNEL_NO_MARGIN_M 1e9
#define KERNEL_BIT(name) ((uint64_t)1 << KERNEL_REASON_##name)

/* bindings:begin */
#define KERNEL_MAX_AXES 32
#define KERNEL_MAX_TOOLS 4
#define KERNEL_DIGEST_BYTES 32
#define KERNEL_TRAIL 8

/* What an axis is, and what its value in q is: a position in rad or m but for KERNEL_AXIS_VELOCITY. */
typedef enum {
    KERNEL_AXIS_BOUNDED = 0,    /* turns or slides inside a range */
    KERNEL_AXIS_CONTINUOUS = 1, /* turns without end: measured and asked for modulo a turn, commanded without jumps */
    KERNEL_AXIS_VELOCITY = 2,   /* of a base: a setpoint is a velocity, dq is what is to be driven; q is its sum since arming */
    KERNEL_AXIS_GRIPPER = 3     /* range and rate only, without a part in the stop; a jam and too large a force are noticed */
} kernel_axis_kind;

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
    KERNEL_REASON_SETPOINT_SHAPE = 1,      /* another number of axes */
    KERNEL_REASON_SETPOINT_NOT_FINITE = 2, /* NaN or infinity */
    KERNEL_REASON_SETPOINT_STALE = 3,      /* computed too long ago */
    KERNEL_REASON_SETPOINT_FUTURE = 4,     /* computed, or observed, after now */
    KERNEL_REASON_SETPOINT_SEQUENCE = 5,   /* a number already used, or lower */
    KERNEL_REASON_SETPOINT_SKIPPED = 6,    /* numbers are missing */
    KERNEL_REASON_OBSERVATION_STALE = 7,   /* the observation behind it is too old */
    KERNEL_REASON_SETPOINT_STEP = 8,       /* too far from the last command to be a motion */
    KERNEL_REASON_POLICY_LOST = 9,         /* the policy has been dead, stalled or stuck for too long */
    /* limits that acted */
    KERNEL_REASON_LIMIT_POSITION = 10,     /* the setpoint was outside the axis's range */
    KERNEL_REASON_LIMIT_BRAKING = 11,      /* its stop would have left an axis's limits */
    KERNEL_REASON_LIMIT_VELOCITY = 12,
    KERNEL_REASON_LIMIT_ACCELERATION = 13,
    KERNEL_REASON_LIMIT_JERK = 14,
    KERNEL_REASON_LIMIT_GEOMETRY = 15,     /* its stop would have come too near to something, or could not be shown not to */
    KERNEL_REASON_LIMIT_TOOL_SPEED = 16,
    KERNEL_REASON_LIMIT_SPEED_SCALE = 17,  /* slower than the axis may: a lower speed is in force */
    KERNEL_REASON_LIMIT_SINGULARITY = 18,  /* slower, near a singular posture */
    KERNEL_REASON_LIMIT_GRIPPER = 19,      /* a gripper's range or its rate */
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
    KERNEL_REASON_TORQUE = 31,             /* the torque or force of an axis, measured to be too large over the debounce time */
    KERNEL_REASON_FORCE = 32,              /* the measured force or moment at a tool, likewise */
    KERNEL_REASON_STOP_LINE = 33,
    KERNEL_REASON_DRIVER_FAULT = 34,
    KERNEL_REASON_OPERATOR_STOP = 35,
    KERNEL_REASON_CLOCK_BACKWARD = 36,     /* now did not advance */
    KERNEL_REASON_CLOCK_GAP = 37,          /* a gap longer than the driver's watchdog: it stopped by itself */
    KERNEL_REASON_HOLD_TIMEOUT = 38,       /* held too long: retracts or disarms */
    KERNEL_REASON_RETRACT_TIMEOUT = 39,    /* did not arrive in time: disarms where it is */
    KERNEL_REASON_INTERNAL = 40,           /* a contradiction in the kernel's own state */
    KERNEL_REASON_GRIPPER_JAMMED = 41,     /* a gripper has been elsewhere than told for too long; changes nothing */
    KERNEL_REASON_GRIPPER_FORCE = 42,      /* the force of a gripper is measured to be too large: it does not close further */
    KERNEL_REASON_ODOMETRY_LOST = 43,      /* where the base is in the world is not known, and there is something to keep off */
    KERNEL_REASON_COUNT = 44
} kernel_reason;

typedef enum {
    KERNEL_REQUEST_ARM = 1,    /* READY -> HOLDING; the command becomes the measurement, brought inside the limits */
    KERNEL_REQUEST_DISARM = 2, /* decelerate, then READY */
    KERNEL_REQUEST_RESET = 3,  /* FAULT -> READY */
    KERNEL_REQUEST_STOP = 4,   /* decelerate, then FAULT, from any state */
    KERNEL_REQUEST_RESET_MOVED = 5 /* FAULT -> READY also where the robot was moved meanwhile: only a person may say so */
} kernel_request_kind;

typedef enum {
    KERNEL_DONE = 0,
    KERNEL_REFUSED_STATE = 1,          /* not possible from this state */
    KERNEL_REFUSED_FEEDBACK = 2,       /* missing, stale or malformed */
    KERNEL_REFUSED_MOVING = 3,         /* the robot is not at rest */
    KERNEL_REFUSED_OUTSIDE_LIMITS = 4, /* an axis is measured outside its range */
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
    KERNEL_CONFIG_TICK_NS = 2,             /* 0.1 ms .. 20 ms */
    KERNEL_CONFIG_Q_MIN = 3,               /* finite, |.| <= 1e3, of a continuous axis 1e5 */
    KERNEL_CONFIG_Q_MAX = 4,               /* likewise, above q_min */
    KERNEL_CONFIG_DQ_MAX = 5,              /* 1e-3 .. 1e3, of a gripper 1e-9 .. 1e3 */
    KERNEL_CONFIG_DDQ_MAX = 6,             /* 1e-3 .. 1e5 */
    KERNEL_CONFIG_DDDQ_MAX = 7,            /* 1e-2 .. 1e8 */
    KERNEL_CONFIG_TRACKING_MAX = 8,        /* positive, <= 1e3, of a continuous axis below half a turn */
    KERNEL_CONFIG_TAU_MAX = 9,             /* positive, <= 1e6 */
    KERNEL_CONFIG_STEP_MAX = 10,           /* positive, <= 1e3 */
    KERNEL_CONFIG_RETRACT = 11,            /* inside the axis's range */
    KERNEL_CONFIG_RETRACT_SPEED_SCALE = 12, /* above 0, at most 1 */
    KERNEL_CONFIG_AXIS_KIND = 13,          /* a kernel_axis_kind */
    KERNEL_CONFIG_JAM_TICKS = 14,          /* 1 .. 1000000 */
    KERNEL_CONFIG_REST_SPEED = 15,         /* positive, <= 1e3 */
    KERNEL_CONFIG_RESET_TOLERANCE = 16,    /* positive, <= 1e3 */
    KERNEL_CONFIG_FEEDBACK_MAX_AGE_NS = 17, /* positive */
    KERNEL_CONFIG_SETPOINT_MAX_AGE_NS = 18, /* positive */
    KERNEL_CONFIG_OBSERVATION_MAX_AGE_NS = 19, /* positive */
    KERNEL_CONFIG_FUTURE_TOLERANCE_NS = 20, /* >= 0 */
    KERNEL_CONFIG_PLAY_MAX_NS = 21,        /* >= 0 */
    KERNEL_CONFIG_HOLD_TIMEOUT_NS = 22,    /* positive */
    KERNEL_CONFIG_RETRACT_TIMEOUT_NS = 23, /* positive */
    KERNEL_CONFIG_DEBOUNCE_TICKS = 24,     /* 1 .. 10000 */
    KERNEL_CONFIG_FROZEN_TRAVEL = 25,      /* positive, <= 1e3 */
    KERNEL_CONFIG_FORCE_MAX_N = 26,        /* positive, <= 1e6 */
    KERNEL_CONFIG_MOMENT_MAX_NM = 27,      /* positive, <= 1e6 */
    KERNEL_CONFIG_TOOL_SPEED_MAX_M_S = 28, /* 1e-3 .. 1e3 */
    KERNEL_CONFIG_MANIPULABILITY = 29,     /* slow_below and stop_below finite, 0 <= stop_below < slow_below, or both 0 */
    KERNEL_CONFIG_CLEARANCE_MIN_M = 30,    /* 0 .. 1 */
    KERNEL_CONFIG_GEOMETRY = 31,           /* refused by geometry_check() or geometry_check_ranges(), of another number of
                                              axes, or with a joint that goes with a gripper or a base */
    KERNEL_CONFIG_START_TOLERANCE = 32,    /* 0 .. 0.01 */
    KERNEL_CONFIG_END_SPEED = 33,          /* slope 0 .. 1e6, and with one offset 0 .. 1e3 and zero |.| <= 1e4; bounded axes only */
    KERNEL_CONFIG_BASE_AXIS = 34           /* -1 or a velocity axis; with odometry each velocity axis is one */
} kernel_config_error;

/* What may be tightened at run time; never looser than the config. */
typedef struct {
    double speed_scale;        /* of every axis's velocity limit: above 0, at most 1 */
    double tool_speed_max_m_s; /* of every tool that would be faster; at most the config's of the fastest */
} kernel_tightening;

/* Of a gripper count q_min, q_max, dq_max, tracking_max, tau_max and start_tolerance alone; of a velocity axis neither
 * q_min and q_max, retract, reset_tolerance, start_tolerance nor an end speed, and step_max, tracking_max and frozen_travel
 * are of its velocity. */
typedef struct {
    uint32_t n_axes;
    uint32_t retracts; /* there is a posture to retract to */
    int64_t tick_ns;
    uint32_t axis_kind[KERNEL_MAX_AXES]; /* kernel_axis_kind */
    double q_min[KERNEL_MAX_AXES];
    double q_max[KERNEL_MAX_AXES];
    double dq_max[KERNEL_MAX_AXES];
    double ddq_max[KERNEL_MAX_AXES];
    double dddq_max[KERNEL_MAX_AXES];
    double tracking_max[KERNEL_MAX_AXES];    /* largest |command when it was sampled - measurement| while armed */
    double tau_max[KERNEL_MAX_AXES];         /* largest |measured torque or force| while armed, where the driver offers it */
    double step_max[KERNEL_MAX_AXES];        /* a setpoint further than this from the last command is refused */
    double retract[KERNEL_MAX_AXES];
    double rest_speed[KERNEL_MAX_AXES];      /* arming: largest measured |speed| */
    double reset_tolerance[KERNEL_MAX_AXES]; /* reset: largest |held command - measurement| */
    double start_tolerance[KERNEL_MAX_AXES]; /* arming: measured so far outside its range, or from where it was left, it starts there */
    double frozen_travel[KERNEL_MAX_AXES];   /* commanded so far between samples that repeat each other to the bit, it is frozen */
    /* Velocity limits that fall towards the ends of the range, [0] at q_min, [1] at q_max: there
     * |v| <= max(0, sqrt(slope * |zero - q|) - offset) on the way towards the end. slope 0: none. */
    double end_speed_slope[2][KERNEL_MAX_AXES];
    double end_speed_offset[2][KERNEL_MAX_AXES];
    double end_speed_zero[2][KERNEL_MAX_AXES];
    double tool_speed_max_m_s[KERNEL_MAX_TOOLS]; /* in the world; with geometry only */
    double force_max_n[KERNEL_MAX_TOOLS];        /* at the tool, where the driver offers it */
    double moment_max_nm[KERNEL_MAX_TOOLS];
    double retract_speed_scale;
    double manipulability_slow_below; /* below it speed is scaled down, to a tenth at manipulability_stop_below; 0: never. The
                                         tool that is nearest to a singularity counts */
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
    uint32_t jam_ticks;          /* a gripper further than tracking_max from its command for so many ticks is jammed */
    int32_t base_axis[3];        /* the velocity axes along x and y and about z of the base; -1: it has none */
    uint32_t has_odometry;       /* the driver measures where the base is: planes and zones of a geometry with a base count */
    uint32_t closes_up;          /* bit i: gripper i closes towards q_max, not towards q_min */
    uint32_t reserved;
    uint8_t digest[KERNEL_DIGEST_BYTES]; /* of the file these limits came from; in every verdict */
    geometry_model geometry;
} kernel_config;

typedef struct {
    int64_t stamp_ns;
    uint64_t seq;
    double q[KERNEL_MAX_AXES];
    double dq[KERNEL_MAX_AXES];
    double tau[KERNEL_MAX_AXES]; /* Nm or N */
    double wrench[KERNEL_MAX_TOOLS][6]; /* force N and moment Nm at each tool */
    double odometry[3];   /* x m, y m and yaw rad of the base in the world */
    uint64_t watchdog_ns; /* the driver's own; 0: none */
    uint32_t n;
    uint32_t present;      /* 0: nothing has ever been measured */
    uint32_t torn;         /* this tick's read failed; the fields are those of the last good one */
    uint32_t stop_line;    /* the stop line is open */
    uint32_t driver_fault;
    uint32_t has_torque;
    uint32_t has_wrench;   /* bit t: wrench[t] is measured */
    uint32_t has_odometry;
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
    double q[KERNEL_MAX_AXES]; /* of a velocity axis: its velocity */
    double speed_scale; /* of the velocity limits, above 0, at most 1 */
    uint32_t n;
    uint32_t present; /* 0: there is none; policy is still told */
    uint32_t policy;  /* kernel_policy */
    uint32_t reserved;
    uint8_t bundle_digest[KERNEL_DIGEST_BYTES];
} kernel_setpoint;

/* Where a base is with its last command carried out: within lag of pose, by its odometry and what it was told since. */
typedef struct {
    double pose[3]; /* x m, y m, yaw rad in the world */
    double told[3]; /* q of its axes there */
    double lag_m;
    double lag_rad;
} kernel_base;

typedef struct {
    double q[KERNEL_MAX_AXES];            /* last command */
    double dq[KERNEL_MAX_AXES];           /* its velocity over the last tick; 0 of a gripper */
    double ddq[KERNEL_MAX_AXES];          /* its acceleration over the last tick; 0 of a gripper */
    double target[KERNEL_MAX_AXES];       /* last accepted setpoint, inside the range */
    double target_speed[KERNEL_MAX_AXES]; /* its change over the last tick */
    double measured[KERNEL_MAX_AXES];     /* last measurement, in the command's turn; of a velocity axis its velocity */
    double shown_least[KERNEL_MAX_AXES];  /* where the axis can be, by every sample since it last changed: from the */
    double shown_most[KERNEL_MAX_AXES];   /* one to the other; frozen if the other way round by too much */
    double left[KERNEL_MAX_AXES];         /* last command to an armed robot */
    double trail[KERNEL_TRAIL][KERNEL_MAX_AXES]; /* commands of the time that feedback may come from, newest first */
    double trail_path[KERNEL_TRAIL][5];   /* path as it was then */
    double path[5];                       /* q of the base's axes, and how far it was told to go, to and fro: m, rad */
    double odometry[3];                   /* as last measured */
    kernel_base base;
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
    uint32_t apart_ticks[KERNEL_MAX_AXES]; /* for how long a gripper has been elsewhere than told, at most jam_ticks */
    uint32_t state;  /* kernel_state_name */
    uint32_t has_now;
    uint32_t has_target;
    uint32_t has_feedback_seq;
    uint32_t has_setpoint_seq;
    uint32_t has_command; /* q has been commanded since the last READY: a reset must find the robot there */
    uint32_t has_left;    /* left holds one */
    uint32_t over_torque; /* the last sample is above the limit */
    uint32_t over_force;
    uint32_t over_grip;   /* bit i: the last sample of gripper i is above its limit */
} kernel_state;

typedef struct {
    double q[KERNEL_MAX_AXES];
    double dq[KERNEL_MAX_AXES]; /* what a velocity axis is to drive */
    double ddq[KERNEL_MAX_AXES];
    double accepted;      /* 1: the tick moves as wanted; 0: it is the verified stop; between: by this common factor */
    double speed_scale;   /* in force: the smallest of all that were asked for */
    double stop_margin;   /* smallest distance to the end of a range over a full stop from here, in the unit of that axis */
    double stop_margin_m; /* smallest clearance seen along it, as geometry_clearance has it; KERNEL_NO_MARGIN_M without */
    double time_to_rest_s;
    uint64_t reasons; /* of this tick */
    uint64_t faults;  /* latched */
    uint32_t state;   /* kernel_state_name */
    uint32_t stop_margin_axis;
    uint8_t config_digest[KERNEL_DIGEST_BYTES];
    uint8_t bundle_digest[KERNEL_DIGEST_BYTES]; /* of the setpoint that was followed, else zero */
} kernel_verdict;

/* KERNEL_CONFIG_OK, or the first field that does not hold what its comment says; *index is that of the culprit: axis,
 * tool, or for KERNEL_CONFIG_GEOMETRY whatever geometry_check() told. */
int kernel_config_check(const kernel_config *config, uint32_t *index);

/* Silent, everything zero but the tightening, which is the config's own: that of its fastest tool. */
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
