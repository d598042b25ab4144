/* What every mutant of the kernel is asked, and how its answers are told apart: by a hash over all of their bits. */
#ifndef BATTERY_H
#define BATTERY_H

#include <stddef.h>
#include <stdint.h>

#include "fuzz_stream.h"

typedef struct {
    uint64_t value;
} answer;

void answer_bytes(answer *a, const void *bytes, size_t size);
void answer_number(answer *a, double x);
void answer_whole(answer *a, int64_t x);

typedef void (*battery_ask)(uint32_t variant, answer *a);

typedef struct {
    const char *name;
    battery_ask ask;
    uint32_t variants;
} battery_group;

/* Robots and arms that the questions are about; made once, by the kernel as it is. */
void battery_prepare(void);
void battery_prepare_streams(void);
const fuzz_stream *battery_arm(uint32_t variant);

extern const battery_group battery_values[], battery_parts[], battery_motion[];
extern const uint32_t battery_values_count, battery_parts_count, battery_motion_count;

/* Values at, just below and just above the bounds that there are. */
extern const double battery_edges[];
extern const uint32_t battery_edges_count;

/* Numbers that no answer may depend on: what stands behind the last joint. */
void battery_junk(double *values, uint32_t from);

/* A robot of round numbers, so that bounds can be met exactly; with an arm of two links if asked for. */
void battery_round_robot(kernel_config *config, int with_geometry);

/* As many axes as there can be, all like the first one. */
void battery_widen(kernel_config *config);

#endif
