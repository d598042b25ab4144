/* The tick itself: no allocation, no lock, no I/O but one look at the policy's process, one at the stop line, and the
 * wake of a waiting driver. See loop.h. */
#define _GNU_SOURCE
#include <string.h>

#include "loop_state.h"
#include "stop_line.h"

_Static_assert((int)KERNEL_MAX_AXES == (int)DP_MAX_AXES && (int)PLAN_MAX_AXES == (int)DP_MAX_AXES, "axes");
_Static_assert((int)KERNEL_MAX_TOOLS == (int)DP_MAX_TOOLS, "tools");
_Static_assert((int)KERNEL_SILENT == (int)DP_STATE_SILENT && (int)KERNEL_READY == (int)DP_STATE_READY &&
                   (int)KERNEL_ACTIVE == (int)DP_STATE_ACTIVE && (int)KERNEL_HOLDING == (int)DP_STATE_HOLDING &&
                   (int)KERNEL_STOPPING == (int)DP_STATE_STOPPING && (int)KERNEL_FAULT == (int)DP_STATE_FAULT &&
                   (int)KERNEL_RETRACTING == (int)DP_STATE_RETRACTING,
               "the port speaks the kernel's states");

static void read_feedback(loop *self) {
    dp_feedback raw;
    kernel_feedback *feedback = &self->feedback;
    const int result = dp_read_feedback(self->region, &raw);
    feedback->torn = result == DP_TORN;
    feedback->watchdog_ns = self->region->identity.watchdog_ns;
    if (result != DP_OK) {
        if (result == DP_TORN) count(&self->counters.torn_feedback, 1u);
        return;
    }
    feedback->present = 1u;
    feedback->stamp_ns = raw.stamp_ns;
    feedback->seq = raw.seq;
    memcpy(feedback->q, raw.q, sizeof raw.q);
    memcpy(feedback->dq, raw.dq, sizeof raw.dq);
    memcpy(feedback->tau, raw.tau, sizeof raw.tau);
    memcpy(feedback->wrench, raw.wrench, sizeof raw.wrench);
    memcpy(feedback->odometry, raw.odometry, sizeof raw.odometry);
    feedback->n = raw.n;
    feedback->has_torque = (raw.flags & DP_FLAG_HAS_TORQUE) != 0u;
    feedback->has_wrench = (raw.flags & DP_FLAG_HAS_WRENCH) != 0u ? raw.wrenches & ((1u << DP_MAX_TOOLS) - 1u) : 0u;
    feedback->has_odometry = (raw.flags & DP_FLAG_HAS_ODOMETRY) != 0u;
    self->driver_stop_line = (raw.flags & DP_FLAG_STOP_LINE) != 0u;
    /* A sensor that fell silent would take the limit along that is watched with it. */
    self->driver_measures |= raw.flags & (DP_FLAG_HAS_TORQUE | DP_FLAG_HAS_WRENCH);
    self->driver_wrenches |= feedback->has_wrench;
    feedback->driver_fault = (raw.flags & DP_FLAG_DRIVER_FAULT) != 0u || (self->driver_measures & ~raw.flags) != 0u ||
                             (self->driver_wrenches & ~feedback->has_wrench) != 0u;
}

/* After the feedback, which may not have been readable. To the kernel they are one line, which either opens. */
static void read_stop_lines(loop *self) {
    if (self->stop_line_fd >= 0) {
        const uint32_t before = self->own_stop_line;
        self->own_stop_line = (uint32_t)stop_line_is_open(self->stop_line_fd);
        if (self->own_stop_line && !before) count(&self->counters.stop_line_opened, 1u);
    }
    self->feedback.stop_line = self->driver_stop_line | self->own_stop_line;
}

/* Plans wait in order of arrival until their time; when too many wait, the newest replaces the one before it. */
static void take_plan(loop *self, int64_t now_ns) {
    const uint64_t newest = __atomic_load_n(&self->mailbox_count, __ATOMIC_ACQUIRE);
    if (newest != self->mailbox_seen) {
        loop_plan *place = &self->pending[self->n_pending];
        const plan_slot *slot = &self->mailbox[newest & 1u];
        if (dp_load(&slot->lock, &slot->plan, place, sizeof *place) != DP_OK) {
            count(&self->counters.torn_plans, 1u);
        } else {
            self->mailbox_seen = newest;
            if (plan_check(place, self->config.n_axes) == PLAN_OK && place->seq > self->plan_seq) {
                self->plan_seq = place->seq;
                if (self->n_pending == PENDING_PLANS)
                    self->pending[PENDING_PLANS - 1u] = *place;
                else
                    self->n_pending++;
                count(&self->counters.plans_taken, 1u);
            } else if (place->seq != self->plan_seq) {
                /* The one taken last comes by again when it was put in while the mailbox was being read. */
                count(&self->counters.plans_refused, 1u);
            }
        }
    }
    while (self->n_pending > 0u && self->pending[0].active_from_ns <= now_ns) {
        self->current = self->pending[0];
        self->has_current = 1;
        self->n_pending--;
        memmove(&self->pending[0], &self->pending[1], self->n_pending * sizeof self->pending[0]);
    }
}

static void look_after_policy(loop *self, int64_t now_ns) {
    const int followed = self->kernel.state == KERNEL_ACTIVE || self->kernel.state == KERNEL_HOLDING;
    self->watch.progress_timeout_ns = __atomic_load_n(&self->progress_timeout_ns, __ATOMIC_RELAXED);
    watch_look(&self->watch, __atomic_load_n(&self->beats, __ATOMIC_RELAXED), self->counters.plans_taken, followed,
               now_ns);
}

static void evaluate(loop *self, int64_t tick_ns, kernel_setpoint *setpoint) {
    memset(setpoint, 0, sizeof *setpoint);
    const int by_a_person = self->has_current && self->current.is_a_persons;
    setpoint->policy = by_a_person ? (uint32_t)KERNEL_POLICY_ALIVE : self->watch.policy;
    setpoint->policy_lost_ns = self->watch.lost_ns;
    if (!self->has_current || !plan_evaluate(&self->current, self->linear, tick_ns, setpoint->q)) return;
    setpoint->present = 1u;
    setpoint->n = self->current.n_axes;
    setpoint->stamp_ns = tick_ns;
    setpoint->observation_ns = self->current.observation_ns;
    setpoint->seq = ++self->setpoint_seq;
    setpoint->speed_scale = self->current.speed_scale;
    memcpy(setpoint->bundle_digest, self->current.bundle_digest, sizeof setpoint->bundle_digest);
}

void loop_write_command(loop *self, int64_t now_ns, int planned) {
    dp_command *command = &self->command;
    const kernel_verdict *verdict = &self->verdict;
    command->stamp_ns = now_ns;
    memcpy(command->q, verdict->q, sizeof command->q);
    memcpy(command->dq, verdict->dq, sizeof command->dq);
    command->state = verdict->state;
    command->n = self->config.n_axes;
    command->reasons = verdict->reasons;
    command->faults = verdict->faults;
    command->plan_seq = planned ? self->current.seq : 0u;
    command->chunk_seq = planned ? self->current.chunk_seq : 0u;
    command->observation_ns = planned ? self->current.observation_ns : 0;
    dp_write_command(self->region, command);
}

static void report(loop *self, int64_t tick_ns, int64_t lateness_ns, int64_t cost_ns) {
    const uint64_t head = self->ring_head;
    if (head - __atomic_load_n(&self->ring_tail, __ATOMIC_ACQUIRE) >= LOOP_REPORTS) {
        count(&self->counters.reports_dropped, 1u);
        return;
    }
    loop_report *to = &self->ring[head & (LOOP_REPORTS - 1)];
    const kernel_verdict *verdict = &self->verdict;
    to->tick_ns = tick_ns;
    to->wake_lateness_ns = lateness_ns;
    to->cost_ns = cost_ns;
    to->feedback_ns = self->feedback.stamp_ns;
    to->observation_ns = self->command.observation_ns;
    to->plan_seq = self->command.plan_seq;
    to->chunk_seq = self->command.chunk_seq;
    to->reasons = verdict->reasons;
    to->faults = verdict->faults;
    to->state = verdict->state;
    to->stop_margin_axis = verdict->stop_margin_axis;
    to->accepted = verdict->accepted;
    to->speed_scale = verdict->speed_scale;
    to->stop_margin = verdict->stop_margin;
    to->stop_margin_m = verdict->stop_margin_m;
    to->time_to_rest_s = verdict->time_to_rest_s;
    memcpy(to->q_command, verdict->q, sizeof to->q_command);
    memcpy(to->dq_command, verdict->dq, sizeof to->dq_command);
    memcpy(to->ddq_command, verdict->ddq, sizeof to->ddq_command);
    memcpy(to->q_measured, self->feedback.q, sizeof to->q_measured);
    memcpy(to->dq_measured, self->feedback.dq, sizeof to->dq_measured);
    __atomic_store_n(&self->ring_head, head + 1u, __ATOMIC_RELEASE);
}

static void show_kernel(loop *self) {
    dp_store(&self->snapshot_lock, &self->snapshot, &self->kernel, sizeof self->kernel);
}

static void publish(loop *self, int64_t tick_ns) {
    loop_counters *counters = &self->counters;
    show_kernel(self);
    count(&counters->ticks, 1u);
    __atomic_store_n(&counters->reasons, self->verdict.reasons, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->faults, self->verdict.faults, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->plan_seq, self->command.plan_seq, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->state, self->verdict.state, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->policy, self->watch.policy, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->policy_lost_ns, self->watch.lost_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->policy_beat_ns, self->watch.beat_ns, __ATOMIC_RELAXED);
    /* Last: whoever sees it sees all of that tick. */
    __atomic_store_n(&counters->tick_ns, tick_ns, __ATOMIC_RELEASE);
}

void loop_tick(loop *self, int64_t tick_ns, int64_t now_ns, int64_t lateness_ns) {
    kernel_setpoint setpoint;
    const kernel_state before = self->kernel;
    read_feedback(self);
    read_stop_lines(self);
    take_plan(self, tick_ns);
    look_after_policy(self, now_ns);
    evaluate(self, tick_ns, &setpoint);
    kernel_step(&self->kernel, &self->config, &self->feedback, &setpoint, now_ns, &self->verdict);
    loop_write_command(self, now_ns, self->verdict.state == KERNEL_ACTIVE);
    report(self, tick_ns, lateness_ns, self->is_virtual ? 0 : monotonic_ns() - now_ns);
    publish(self, tick_ns);
    /* Last: the command does not wait for it. */
    black_box_tick(&self->box, &before, &self->feedback, &setpoint, &self->verdict, tick_ns, now_ns);
}

/* ---- between two ticks --------------------------------------------------------------------------------------- */

int loop_ask_kernel(loop *self, uint32_t request, int64_t now_ns) {
    const kernel_state before = self->kernel;
    const int result = kernel_request(&self->kernel, &self->config, &self->feedback, request, now_ns);
    black_box_request(&self->box, &before, &self->feedback, request, result, now_ns);
    return result;
}

static int tighten(loop *self, const kernel_tightening *tightening) {
    const kernel_state before = self->kernel;
    const int result = kernel_tighten(&self->kernel, &self->config, tightening);
    black_box_tighten(&self->box, &before, tightening, result);
    return result;
}

/* Plans from before an arming were made for another posture, and may still reach into the time after it. */
static void forget_plans(loop *self) {
    self->has_current = 0;
    self->n_pending = 0u;
    self->mailbox_seen = __atomic_load_n(&self->mailbox_count, __ATOMIC_ACQUIRE);
}

void loop_answer(loop *self, int64_t now_ns) {
    loop_question *question = &self->question;
    uint32_t from = REQUEST_PENDING;
    if (__atomic_load_n(&question->stage, __ATOMIC_RELAXED) != REQUEST_PENDING ||
        !__atomic_compare_exchange_n(&question->stage, &from, REQUEST_TAKEN, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    if (question->subject == ASK_WATCH) {
        question->target = watch_replace(&self->watch, question->target);
        question->answer = LOOP_OK;
    } else if (question->subject == ASK_TIGHTEN) {
        question->answer = tighten(self, &question->tightening);
    } else {
        question->answer = loop_ask_kernel(self, question->kind, now_ns);
        if (question->kind == KERNEL_REQUEST_ARM && question->answer == KERNEL_DONE) forget_plans(self);
    }
    __atomic_store_n(&self->counters.state, self->kernel.state, __ATOMIC_RELAXED);
    __atomic_store_n(&self->counters.faults, self->kernel.faults, __ATOMIC_RELAXED);
    show_kernel(self);
    __atomic_store_n(&question->stage, REQUEST_ANSWERED, __ATOMIC_RELEASE);
}
