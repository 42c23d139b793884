// The peak of Arm's bfloat16 matrix multiply-accumulate: (2 x 4) (4 x 2) products, independent sums
// in registers, as peak.cpp.

#include <arm_neon.h>
#include <stdint.h>

namespace epochmark {

double bfmmla_peak(int64_t rounds) {
    constexpr int kSums = 24;
    constexpr int kRepeats = 16;
    float32x4_t sum[kSums];
    for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_f32(0.0f);
    uint16x8_t factors = vdupq_n_u16(0x3f00);  // 0.5
    for (int64_t round = 0; round < rounds; ++round) {
        asm volatile("" : "+m"(factors));  // no folding of rounds
        const bfloat16x8_t matrix = vreinterpretq_bf16_u16(factors);
        for (int repeat = 0; repeat < kRepeats; ++repeat)
            for (int i = 0; i < kSums; ++i) sum[i] = vbfmmlaq_f32(sum[i], matrix, matrix);
    }
    float check = 0.0f;
    for (int i = 0; i < kSums; ++i) check += vgetq_lane_f32(sum[i], 0);
    volatile float keep = check;
    (void)keep;
    return double(rounds) * kRepeats * kSums * 4 * 4 * 2;
}

}  // namespace epochmark
