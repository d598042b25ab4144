/* The six calls of a GPU driver's library that edge_runtime.gpu makes. What it answers: environment CUDA_DOUBLE. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int mode_is(const char *mode)
{
    const char *asked = getenv("CUDA_DOUBLE");
    return asked && strcmp(asked, mode) == 0;
}

int cuInit(unsigned flags)
{
    (void)flags;
    if (mode_is("hangs"))
        sleep(60);
    return mode_is("no_device") ? 100 : 0;
}

int cuDriverGetVersion(int *version)
{
    *version = 12060;
    return 0;
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    if (device != 0 || (attribute != 75 && attribute != 76))
        return 1;
    *value = attribute == 75 ? 8 : 7;
    return 0;
}

int cuDeviceGetName(char *name, int length, int device)
{
    strncpy(name, "Orin", (size_t)length);
    return device;
}
