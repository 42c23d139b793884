// The peak of AVX-512's dot product of bfloat16 pairs: independent sums in registers, as peak.cpp.

#include <immintrin.h>
#include <stdint.h>

namespace epochmark {

double avx512_bf16_peak(int64_t rounds) {
    constexpr int kSums = 24;
    constexpr int kRepeats = 16;
    __m512 sum[kSums];
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_setzero_ps();
    __m512i factors = _mm512_set1_epi32(0x3f003f00);  // 0.5, twice
    for (int64_t round = 0; round < rounds; ++round) {
        asm volatile("" : "+m"(factors));  // no folding of rounds
        const __m512bh pairs = (__m512bh)factors;
        for (int repeat = 0; repeat < kRepeats; ++repeat)
            for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], pairs, pairs);
    }
    float check = 0.0f;
    for (int i = 0; i < kSums; ++i) check += _mm512_cvtss_f32(sum[i]);
    volatile float keep = check;
    (void)keep;
    return double(rounds) * kRepeats * kSums * 32 * 2;
}

}  // namespace epochmark
