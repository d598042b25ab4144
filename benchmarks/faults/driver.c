/* The robot's side of the driver port for fault injection, with a record of every command.
 *
 *     driver drive NAME RING AXES DIGEST_HEX WATCHDOG_NS Q0 ... Qn-1
 *     driver watch NAME RING
 *
 * `drive` is a whole driver: a robot that is at once where the command has it, and that stands still by itself when it is
 * to be moved but the command is older than its watchdog. `watch` only looks on at another driver's port. Both write
 * what they see, one entry for each command, into the file RING, which must exist and be large enough. Ends with the
 * process that started it. Refuses to know: what the commands ought to be. Trusts: its arguments.
 *
 * Built with nothing but driver_port.h, as anybody's driver may be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "driver_port.h"

#define RING_ENTRIES 65536u
#define RING_AXES 8u
#define CYCLE_NS 1000000
#define PRIORITY 85

typedef struct {
    int64_t seen_ns;
    int64_t stamp_ns;
    uint64_t seq;
    uint64_t reasons;
    uint64_t faults;
    uint64_t plan_seq;
    uint32_t state;
    uint32_t moves; /* drive: it did as it was told */
    double q[RING_AXES];
    double dq[RING_AXES];
    double q_measured[RING_AXES];
    double dq_measured[RING_AXES];
} entry;

typedef struct {
    uint64_t count;          /* entries ever written; entry k lies at k % RING_ENTRIES */
    uint64_t watchdog_stops; /* drive: how often it stood still by itself */
    int64_t stopped_ns;      /* drive: when it last did */
    int64_t feedback_ns;     /* of the newest feedback, also while no command comes */
    double dq_measured[RING_AXES];
    entry entries[RING_ENTRIES];
} ring;

static int64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *map(const char *path, size_t bytes, int *fd) {
    *fd = open(path, O_RDWR | O_CLOEXEC);
    void *region = *fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (region == MAP_FAILED) die(path);
    return region;
}

static void become_realtime(void) {
    const struct sched_param parameter = {.sched_priority = PRIORITY};
    (void)sched_setscheduler(0, SCHED_FIFO, &parameter);
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    (void)mlockall(MCL_CURRENT);
}

static void note(ring *to, const dp_command *command, const dp_feedback *feedback, int moves) {
    entry *one = &to->entries[to->count % RING_ENTRIES];
    one->seen_ns = now_ns();
    one->stamp_ns = command->stamp_ns;
    one->seq = command->seq;
    one->reasons = command->reasons;
    one->faults = command->faults;
    one->plan_seq = command->plan_seq;
    one->state = command->state;
    one->moves = (uint32_t)moves;
    for (uint32_t i = 0; i < RING_AXES; i++) {
        one->q[i] = command->q[i];
        one->dq[i] = command->dq[i];
        one->q_measured[i] = feedback->q[i];
        one->dq_measured[i] = feedback->dq[i];
    }
    __atomic_store_n(&to->count, to->count + 1u, __ATOMIC_RELEASE);
}

static void note_feedback(ring *to, const dp_feedback *feedback) {
    for (uint32_t i = 0; i < RING_AXES; i++) to->dq_measured[i] = feedback->dq[i];
    __atomic_store_n(&to->feedback_ns, feedback->stamp_ns, __ATOMIC_RELEASE);
}

static dp_region *create(char **arguments, dp_feedback *feedback) {
    char path[256];
    uint8_t digest[DP_DIGEST_BYTES];
    int fd;
    (void)snprintf(path, sizeof path, "/dev/shm/%s", arguments[0]);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof(dp_region)) != 0) die(path);
    const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = DP_LOCK_DRIVER, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) die(path);
    dp_region *region = mmap(NULL, sizeof(dp_region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED) die(path);
    feedback->n = (uint32_t)atoi(arguments[2]);
    for (uint32_t i = 0; i < feedback->n && i < RING_AXES; i++) feedback->q[i] = atof(arguments[5u + i]);
    for (uint32_t i = 0; i < DP_DIGEST_BYTES; i++) {
        const char byte[3] = {arguments[3][2u * i], arguments[3][2u * i + 1u], 0};
        digest[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    if (dp_init(region, feedback->n, digest, strtoull(arguments[4], NULL, 10), DP_CLOCK_MONOTONIC) != DP_OK) die(path);
    return region;
}

/* What the robot makes of the newest command; whether it did as it was told. */
static int obey(const dp_command *command, uint64_t watchdog_ns, dp_feedback *feedback, ring *to) {
    static int moved, latched;
    const int told = dp_follows(command->state);
    const int fresh = now_ns() - command->stamp_ns <= (int64_t)watchdog_ns;
    if (!told) latched = 0;
    if (moved && told && !fresh) {
        latched = 1;
        to->stopped_ns = now_ns();
        __atomic_store_n(&to->watchdog_stops, to->watchdog_stops + 1u, __ATOMIC_RELEASE);
    }
    moved = told && fresh && !latched;
    for (uint32_t i = 0; i < feedback->n; i++) {
        if (moved) feedback->q[i] = command->q[i];
        feedback->dq[i] = moved ? command->dq[i] : 0.0;
    }
    feedback->flags = told && latched ? DP_FLAG_DRIVER_FAULT : 0u;
    return moved;
}

int main(int count, char **arguments) {
    dp_command command = {0};
    dp_feedback feedback = {0};
    int fd;
    if (count < 4) return 2;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int drives = strcmp(arguments[1], "drive") == 0;
    ring *to = map(arguments[3], sizeof(ring), &fd);
    dp_region *region;
    if (drives) {
        region = create(arguments + 2, &feedback);
    } else {
        char path[256];
        (void)snprintf(path, sizeof path, "/dev/shm/%s", arguments[2]);
        region = map(path, sizeof(dp_region), &fd);
        if (dp_check(region) != DP_OK) return 3;
    }
    become_realtime();
    for (uint64_t last = 0;;) {
        const uint32_t seen = dp_signal_seen(&region->time.command_written);
        const int is_command = dp_read_command(region, &command) == DP_OK;
        if (drives) {
            const int moves = is_command && obey(&command, region->identity.watchdog_ns, &feedback, to);
            feedback.stamp_ns = now_ns();
            dp_write_feedback(region, &feedback);
            if (is_command && command.seq != last) note(to, &command, &feedback, moves);
        } else {
            (void)dp_read_feedback(region, &feedback);
            if (is_command && command.seq != last) note(to, &command, &feedback, 0);
        }
        note_feedback(to, &feedback);
        if (is_command) last = command.seq;
        dp_signal_wait(&region->time.command_written, seen, CYCLE_NS);
    }
}
