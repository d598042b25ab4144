/* SHA-256 as FIPS 180-4 has it, byte by byte: for names, not for speed. */
#ifndef EDGE_RUNTIME_SHA256_H
#define EDGE_RUNTIME_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint8_t block[64];
    uint64_t bytes;
} sha256;

void sha256_begin(sha256 *self);
void sha256_add(sha256 *self, const void *data, size_t bytes);
void sha256_end(sha256 *self, uint8_t digest[32]);

#endif
