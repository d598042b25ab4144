/* See sha256.h. */
#include "sha256.h"

static const uint32_t K[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u};

static uint32_t turn(uint32_t word, unsigned bits) { return (word >> bits) | (word << (32u - bits)); }

static void mix(sha256 *self) {
    uint32_t w[64], v[8];
    for (unsigned k = 0u; k < 16u; k++) {
        const uint8_t *byte = &self->block[4u * k];
        w[k] = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
    }
    for (unsigned k = 16u; k < 64u; k++)
        w[k] = w[k - 16u] + (turn(w[k - 15u], 7u) ^ turn(w[k - 15u], 18u) ^ w[k - 15u] >> 3) + w[k - 7u] +
               (turn(w[k - 2u], 17u) ^ turn(w[k - 2u], 19u) ^ w[k - 2u] >> 10);
    for (unsigned i = 0u; i < 8u; i++) v[i] = self->state[i];
    for (unsigned k = 0u; k < 64u; k++) {
        const uint32_t first = v[7] + (turn(v[4], 6u) ^ turn(v[4], 11u) ^ turn(v[4], 25u)) +
                               ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[k] + w[k];
        const uint32_t second = (turn(v[0], 2u) ^ turn(v[0], 13u) ^ turn(v[0], 22u)) +
                                ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (unsigned i = 7u; i > 0u; i--) v[i] = v[i - 1u];
        v[4] += first;
        v[0] = first + second;
    }
    for (unsigned i = 0u; i < 8u; i++) self->state[i] += v[i];
}

void sha256_begin(sha256 *self) {
    static const uint32_t start[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                      0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    for (unsigned i = 0u; i < 8u; i++) self->state[i] = start[i];
    self->bytes = 0u;
}

void sha256_add(sha256 *self, const void *data, size_t bytes) {
    const uint8_t *byte = data;
    for (size_t k = 0u; k < bytes; k++) {
        self->block[self->bytes++ % 64u] = byte[k];
        if (self->bytes % 64u == 0u) mix(self);
    }
}

void sha256_end(sha256 *self, uint8_t digest[32]) {
    const uint64_t bits = self->bytes * 8u;
    uint8_t length[8];
    for (unsigned k = 0u; k < 8u; k++) length[k] = (uint8_t)(bits >> (56u - 8u * k));
    sha256_add(self, "\x80", 1u);
    while (self->bytes % 64u != 56u) sha256_add(self, "", 1u);
    sha256_add(self, length, 8u);
    for (unsigned k = 0u; k < 32u; k++) digest[k] = (uint8_t)(self->state[k / 4u] >> (24u - 8u * (k % 4u)));
}
