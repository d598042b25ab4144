/* Control's side of the driver port for tests: writes the commands it is told to, as any controller in C would. */
#include <fcntl.h>
#include <sys/mman.h>

#include "driver_port.h"

void *open_region(const char *name) {
    const int file = shm_open(name, O_RDWR, 0);
    if (file < 0) return NULL;
    void *region = mmap(NULL, sizeof(dp_region), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    return region != MAP_FAILED && dp_check((dp_region *)region) == DP_OK ? region : NULL;
}

void write_command(void *region, int64_t stamp_ns, uint32_t state, const double *q, const double *dq,
                   uint32_t n) {
    dp_command command;
    memset(&command, 0, sizeof command);
    command.stamp_ns = stamp_ns;
    command.state = state;
    command.n = n;
    memcpy(command.q, q, n * sizeof(double));
    memcpy(command.dq, dq, n * sizeof(double));
    dp_write_command((dp_region *)region, &command);
}
