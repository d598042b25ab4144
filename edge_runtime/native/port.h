/* The system calls around driver_port.h: making, opening and claiming a region, and bounded waits on it. */
#ifndef EDGE_RUNTIME_PORT_H
#define EDGE_RUNTIME_PORT_H

#include <stdint.h>

#include "driver_port.h"

/* bindings:begin */
typedef struct {
    void *region; /* dp_region; NULL when closed */
    int fd;
} port;

/* errno values, negated, next to dp_result. */
typedef enum {
    PORT_OK = 0,
    PORT_IN_USE = -100,   /* another live process has that role */
    PORT_MISSING = -101,  /* no such region, or its driver has not finished making it */
    PORT_SYSTEM = -102    /* *system_error says what */
} port_result;

/* Makes the region and takes the driver's role. A region whose driver is dead is replaced. */
int port_create(port *self, const char *name, uint32_t n_axes, const uint8_t *joint_digest, uint64_t watchdog_ns,
                uint32_t clock_mode, int *system_error);

/* Maps an existing region; PORT_MISSING, or a dp_result when it speaks another language. */
int port_attach(port *self, const char *name, int *system_error);

/* Takes a role (DP_LOCK_DRIVER, DP_LOCK_CONTROL) for as long as the port is open and the process alive. */
int port_claim(const port *self, uint32_t role, int *system_error);

/* Whether a live process holds the role. */
int port_is_claimed(const port *self, uint32_t role);

void port_close(port *self);
int port_unlink(const char *name);

void port_write_feedback(port *self, dp_feedback *feedback);
int port_read_feedback(const port *self, dp_feedback *feedback);
int port_read_command(const port *self, dp_command *command);
/* For tests of drivers alone: on a robot only the loop writes commands, and only what its kernel has returned. */
void port_write_command(port *self, dp_command *command);
void port_advance_clock(port *self, int64_t now_ns);
int64_t port_now_ns(const port *self);
void port_acknowledge_observation(port *self, int64_t stamp_ns);
uint32_t port_axes(const port *self);
uint32_t port_clock_mode(const port *self);
uint64_t port_watchdog_ns(const port *self);
void port_joint_digest(const port *self, uint8_t *digest);

/* DP_OK once a command stamped stamp_ns or later is there, else DP_TIMEOUT; spins shortly, then sleeps. */
int port_wait_command(port *self, int64_t stamp_ns, int64_t timeout_ns, dp_command *command);

/* DP_OK once observations up to stamp_ns are acknowledged, else DP_TIMEOUT. */
int port_wait_observation_ack(port *self, int64_t stamp_ns, int64_t timeout_ns);
/* bindings:end */

#endif
