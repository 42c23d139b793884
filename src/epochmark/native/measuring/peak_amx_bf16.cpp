// The peak of AMX, Intel's matrix unit: tiles of 16 x 32 and 32 x 16 bfloat16 numbers, four sums of
// 16 x 16, as many as the eight tile registers allow (Intel 64 and IA-32 Optimization Reference
// Manual, "Intel AMX").

#include <immintrin.h>
#include <stdint.h>

namespace epochmark {

namespace {

struct alignas(64) TileShapes {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

double amx_bf16_peak(int64_t rounds) {
    constexpr int kRepeats = 16;
    alignas(64) uint16_t factors[16 * 32];
    for (uint16_t& factor : factors) factor = 0x3f00;  // 0.5
    alignas(64) float sums[16 * 16];
    const TileShapes shapes;
    _tile_loadconfig(&shapes);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, factors, 64);
    _tile_loadd(5, factors, 64);
    _tile_loadd(6, factors, 64);
    _tile_loadd(7, factors, 64);
    for (int64_t round = 0; round < rounds; ++round) {
        for (int repeat = 0; repeat < kRepeats; ++repeat) {
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, 64);
    _tile_release();
    volatile float keep = sums[0];
    (void)keep;
    return double(rounds) * kRepeats * 4 * 16 * 16 * 32 * 2;
}

}  // namespace epochmark
