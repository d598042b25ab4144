/* See stop_line.h. */
#define _GNU_SOURCE
#include "stop_line.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define CONSUMER "edge-runtime stop"
#define LOOKS 32

_Static_assert((int)STOP_LINE_NAME_BYTES == (int)GPIO_MAX_NAME_SIZE, "names");

static int open_chip(const char *chip) {
    const int fd = open(chip, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int stop_line_open(const char *chip, uint32_t line, int closed_is_high, int pull_to_open) {
    const int chip_fd = open_chip(chip);
    if (chip_fd < 0) return chip_fd;
    struct gpio_v2_line_request request;
    memset(&request, 0, sizeof request);
    memcpy(request.consumer, CONSUMER, sizeof CONSUMER);
    request.offsets[0] = line;
    request.num_lines = 1u;
    /* An active line is a closed one, whatever its level. */
    request.config.flags = GPIO_V2_LINE_FLAG_INPUT | (closed_is_high ? 0u : GPIO_V2_LINE_FLAG_ACTIVE_LOW);
    if (!pull_to_open)
        request.config.flags |= GPIO_V2_LINE_FLAG_BIAS_DISABLED;
    else
        request.config.flags |= closed_is_high ? GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN : GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
    const int result = ioctl(chip_fd, GPIO_V2_GET_LINE_IOCTL, &request) < 0 ? -errno : request.fd;
    (void)close(chip_fd);
    return result;
}

/* Whether the line could be read; *closed only then. */
static int look(int fd, int *closed) {
    struct gpio_v2_line_values values = {.bits = 0u, .mask = 1u};
    if (ioctl(fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) != 0) return 0;
    *closed = (values.bits & 1u) != 0u;
    return 1;
}

int stop_line_is_open(int fd) {
    int closed;
    return !look(fd, &closed) || !closed;
}

int stop_line_check(int fd) {
    int closed;
    return look(fd, &closed) ? 0 : -errno;
}

static int64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t stop_line_cost_ns(int fd) {
    int64_t shortest_ns = INT64_MAX;
    for (int i = 0; i < LOOKS; i++) {
        const int64_t before_ns = now_ns();
        (void)stop_line_is_open(fd);
        const int64_t took_ns = now_ns() - before_ns;
        if (took_ns < shortest_ns) shortest_ns = took_ns;
    }
    return shortest_ns;
}

int stop_line_holder(const char *chip, uint32_t line, char holder[STOP_LINE_NAME_BYTES]) {
    const int chip_fd = open_chip(chip);
    if (chip_fd < 0) return chip_fd;
    struct gpio_v2_line_info info;
    memset(&info, 0, sizeof info);
    info.offset = line;
    const int result = ioctl(chip_fd, GPIO_V2_GET_LINEINFO_IOCTL, &info) < 0 ? -errno : 0;
    (void)close(chip_fd);
    memset(holder, 0, STOP_LINE_NAME_BYTES);
    if (result == 0 && (info.flags & GPIO_V2_LINE_FLAG_USED)) memcpy(holder, info.consumer, STOP_LINE_NAME_BYTES - 1u);
    return result;
}
