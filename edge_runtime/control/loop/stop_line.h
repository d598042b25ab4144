/* The stop line: one input of a Linux GPIO chip, wired normally closed, looked at in every tick.
 *
 * Guarantees: one look is one system call that never waits for an edge; whatever is not a clear "closed" is open: a
 * descriptor that is none of a line, an error, a chip that is gone. A pull resistor that is asked for pulls towards open,
 * so that a cut wire is an open line. Refuses to know: what hangs on the line, what becomes of an open one (the kernel
 * trips). Trusts: that the chip answers at once, which stop_line_cost_ns() is there to check before anything moves.
 */
#ifndef EDGE_RUNTIME_STOP_LINE_H
#define EDGE_RUNTIME_STOP_LINE_H

#include <stdint.h>

/* bindings:begin */
#define STOP_LINE_NAME_BYTES 32

/* A descriptor of line `line` of the chip at path `chip`, an input that is asked for alone, or -errno. */
int stop_line_open(const char *chip, uint32_t line, int closed_is_high, int pull_to_open);

/* 0: closed. 1: open, or not to be read. */
int stop_line_is_open(int fd);

/* 0 if the line can be read, else -errno; unlike stop_line_is_open() it tells open from broken. */
int stop_line_check(int fd);

/* The shortest of some looks: what the chip itself costs, without what else the machine did. */
int64_t stop_line_cost_ns(int fd);

/* Name of who holds the line, empty if nobody does; 0 or -errno. */
int stop_line_holder(const char *chip, uint32_t line, char holder[STOP_LINE_NAME_BYTES]);
/* bindings:end */

#endif
