/* See resident.h. */
#define _GNU_SOURCE
#include "resident.h"

#include <link.h>
#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"

#define PAGE_BYTES 4096u

/* One function of each library. */
static int is_needed(uintptr_t start, uintptr_t bytes) {
    const uintptr_t functions[] = {(uintptr_t)&kernel_step, (uintptr_t)&poll, (uintptr_t)(double (*)(double))&floor};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i] - start < bytes) return 1;
    return 0;
}

static int touch(struct dl_phdr_info *library, size_t size, void *unused) {
    (void)size;
    (void)unused;
    int needed = 0;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type == PT_LOAD) needed |= is_needed(library->dlpi_addr + part->p_vaddr, part->p_memsz);
    }
    for (int i = 0; needed && i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_R)) continue;
        const volatile unsigned char *bytes = (const volatile unsigned char *)(library->dlpi_addr + part->p_vaddr);
        for (size_t k = 0; k < part->p_memsz; k += PAGE_BYTES) (void)bytes[k];
    }
    return 0;
}

void resident_touch_libraries(void) { (void)dl_iterate_phdr(touch, NULL); }
