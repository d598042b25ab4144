/* Where the robot's links are, how far from anything they may not touch, and how fast its tools move.
 *
 * Guarantees: distances are exact or too small, never too large; the same input gives the same bits on every machine
 * (its sine and cosine are its own). Refuses to know: URDF, MJCF, limits, time. Trusts: its model, once
 * geometry_check() has passed it.
 *
 * The robot is a tree of joints, each of which carries a link of the same number. Joint i turns about the +z axis of its
 * own frame or slides along it; the frame sits at a fixed pose in that of its parent's link. A joint's position is a
 * linear function of one axis of the robot: several joints may go with the same axis, and an axis may move none, as a
 * gripper's. Links are rigid and carry capsules. X_WL is the pose of link L in the world W: in the frame of the robot's
 * base, or for a base that moves in the frame that its odometry measures in. Positions are in rad or m.
 */
#ifndef EDGE_RUNTIME_GEOMETRY_H
#define EDGE_RUNTIME_GEOMETRY_H

#include <stdint.h>

/* bindings:begin */
#define GEOMETRY_MAX_AXES 32
#define GEOMETRY_MAX_LINKS 48
#define GEOMETRY_MAX_CAPSULES 64
#define GEOMETRY_MAX_PAIRS 1024
#define GEOMETRY_MAX_TOOLS 4
#define GEOMETRY_MAX_PLANES 16
#define GEOMETRY_MAX_KEEPOUTS 16

typedef enum {
    GEOMETRY_OK = 0,
    GEOMETRY_COUNTS = 1,   /* more of something than there is room for, or anything without a capsule */
    GEOMETRY_PARENT = 2,   /* a joint's parent must be -1 or a joint before it */
    GEOMETRY_ROTATION = 3, /* not a rotation matrix */
    GEOMETRY_OFFSET = 4,   /* not finite, or over 100 m */
    GEOMETRY_CAPSULE = 5,  /* not finite, over 100 m, a radius that is not positive, or no such link */
    GEOMETRY_PAIR = 6,     /* no such capsule, one paired with itself or another of its own link, or nearer not in 0 .. 1 m */
    GEOMETRY_PLANE = 7,    /* normal not of unit length, or offset not finite or over 1e6 m */
    GEOMETRY_KEEPOUT = 8,  /* corners not finite, over 1e6 m or in the wrong order; radius likewise, or negative */
    GEOMETRY_TOOL = 9,     /* no such link, or a point that is not finite */
    GEOMETRY_REACH = 10,   /* a reach, a ball or a root that is not what geometry_derive() computes */
    GEOMETRY_AXIS = 11,    /* no such axis, a ratio or position not finite or over 1e3, or an extent not in 0 .. 100 m */
    GEOMETRY_RANGE = 12    /* of an axis: it takes a joint further than its extent, or turns it further than 1.5e6 rad */
} geometry_error;

/* Joint i. Its frame is given in that of its parent's link, where its position is 0. */
typedef struct {
    double rotation[9]; /* row-major */
    double offset_m[3];
    double ratio;       /* its position is ratio * q[axis] + at_zero */
    double at_zero;
    double extent_m;    /* a sliding joint's position is never further from 0; without meaning for one that turns */
    int32_t parent;     /* joint whose link carries this one; -1: the base */
    int32_t axis;
    uint32_t slides;    /* along +z, instead of turning about it */
    uint32_t reserved;
} geometry_joint;

/* All points within radius of the segment a-b, in the frame of its link. */
typedef struct {
    double a_m[3];
    double b_m[3];
    double radius_m;
    int32_t link;      /* joint index; -1: the base */
    uint32_t in_world; /* also kept off planes and keep-out zones */
} geometry_capsule;

/* A half-space that is allowed: normal . p >= offset_m. A box is six of them. */
typedef struct {
    double normal[3];
    double offset_m;
} geometry_plane;

/* A box along the world's axes, grown by radius_m; a sphere is one with equal corners. */
typedef struct {
    double min_m[3];
    double max_m[3];
    double radius_m;
} geometry_keepout;

/* A point whose speed is limited, in the frame of its link. */
typedef struct {
    double point_m[3];
    int32_t link; /* joint index; -1: the base */
    uint32_t reserved;
} geometry_tool;

typedef struct {
    uint32_t n_joints;
    uint32_t n_axes; /* of the robot, those included that move no joint here */
    uint32_t n_capsules; /* 0: nothing is known of the geometry, and nothing is checked */
    uint32_t n_pairs;
    uint32_t n_planes;
    uint32_t n_keepouts;
    uint32_t n_tools;
    uint32_t has_base; /* it moves: planes and zones stand in the world that its odometry measures in */
    geometry_joint joints[GEOMETRY_MAX_LINKS];
    geometry_capsule capsules[GEOMETRY_MAX_CAPSULES];
    uint32_t pairs[GEOMETRY_MAX_PAIRS][2];    /* capsules that may not touch each other */
    double pair_nearer_m[GEOMETRY_MAX_PAIRS]; /* how much nearer than others these two may come: counted as distance */
    geometry_plane planes[GEOMETRY_MAX_PLANES];
    geometry_keepout keepouts[GEOMETRY_MAX_KEEPOUTS];
    geometry_tool tools[GEOMETRY_MAX_TOOLS];
    /* Filled by geometry_derive(). */
    double reach_m[GEOMETRY_MAX_CAPSULES][GEOMETRY_MAX_LINKS]; /* the most that a point of the capsule's segment moves per
                                                                   rad or m of the joint's own position: its largest
                                                                   distance from an axis that turns, 1 for one that
                                                                   slides; 0: the joint does not move it */
    double base_reach_m[GEOMETRY_MAX_CAPSULES]; /* no point of the capsule's segment is ever further from the base's z */
    double ball_m[GEOMETRY_MAX_CAPSULES];  /* no point of the capsule is further from the middle of its segment */
    int32_t pair_root[GEOMETRY_MAX_PAIRS]; /* the last joint that moves both capsules; -1: none. Up to there a joint moves
                                              neither as seen from the other */
    double tool_reach_m[GEOMETRY_MAX_TOOLS][GEOMETRY_MAX_LINKS];
    double tool_base_reach_m[GEOMETRY_MAX_TOOLS];
} geometry_model;

typedef struct {
    double rotation[GEOMETRY_MAX_LINKS][9]; /* of X_WL, row-major */
    double origin_m[GEOMETRY_MAX_LINKS][3];
    double base_rotation[9]; /* of the base */
    double base_origin_m[3];
} geometry_pose;

/* The segments of the capsules in the world. */
typedef struct {
    double a_m[GEOMETRY_MAX_CAPSULES][3];
    double b_m[GEOMETRY_MAX_CAPSULES][3];
    double middle_m[GEOMETRY_MAX_CAPSULES][3];
} geometry_places;

/* Signed distances: below zero by as much as they overlap. */
typedef struct {
    double world_m[GEOMETRY_MAX_CAPSULES]; /* to the nearest plane or keep-out zone; 1e9 where there is none */
    double pair_m[GEOMETRY_MAX_PAIRS];     /* with pair_nearer_m */
} geometry_clearance;

/* Fills what is derived, unless geometry_check() refuses the model for anything else. */
void geometry_derive(geometry_model *model);

/* A geometry_error; *index is that of the culprit in its array. */
int geometry_check(const geometry_model *model, uint32_t *index);

/* Whether joints stay where the model is exact while each axis stays inside q_min .. q_max, both by axis: GEOMETRY_OK or
 * GEOMETRY_RANGE, with the joint's index. For a model that geometry_check() has passed. */
int geometry_check_ranges(const geometry_model *model, const double *q_min, const double *q_max, uint32_t *index);

/* base: x (m), y (m) and yaw (rad, |yaw| <= 1.5e6) of the base in the world; not looked at without has_base. q: by axis,
 * finite, inside ranges that geometry_check_ranges() takes. */
void geometry_pose_at(const geometry_model *model, const double *base, const double *q, geometry_pose *pose);
void geometry_places_at(const geometry_model *model, const geometry_pose *pose, geometry_places *places);

/* One entry of geometry_clearance. */
double geometry_world_m(const geometry_model *model, const geometry_places *places, uint32_t capsule);
double geometry_pair_m(const geometry_model *model, const geometry_places *places, uint32_t pair);

/* All of them. */
void geometry_clearance_at(const geometry_model *model, const geometry_pose *pose, geometry_clearance *clearance);

/* Where a tool is in the world. */
void geometry_tool_at(const geometry_model *model, const geometry_pose *pose, uint32_t tool, double *point_m);

/* Velocity of the tool point in the world per rad/s or m/s of each joint's own position, by joint; zero for a joint that
 * does not move it. */
void geometry_tool_columns(const geometry_model *model, const geometry_pose *pose, uint32_t tool, double columns[][3]);

/* sqrt(det(J J')) of the tool's Jacobian, one column for each axis that moves it (of J' J with fewer than six axes): 0 in
 * a singularity. The base stands. */
double geometry_manipulability(const geometry_model *model, const geometry_pose *pose, uint32_t tool);

/* |x_rad| <= 1.5e6; error below 1e-15, of the sine and cosine of exactly x_rad. */
void geometry_sine_cosine(double x_rad, double *sine, double *cosine);
/* bindings:end */

#endif
