/* Takes the place of ioctl() in a process that is started with LD_PRELOAD: any file is a line of a GPIO chip. Its first
 * byte is the level: 'c' closed, 'o' open, and with anything else the chip does not answer. Everything that is no look at
 * a line goes to the system as it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request != GPIO_V2_LINE_GET_VALUES_IOCTL) return (int)syscall(SYS_ioctl, fd, request, argument);
    struct gpio_v2_line_values *values = argument;
    char level = 0;
    if (pread(fd, &level, 1u, 0) != 1 || (level != 'c' && level != 'o')) {
        errno = ENODEV;
        return -1;
    }
    values->bits = level == 'c' ? values->mask : 0u;
    return 0;
}
