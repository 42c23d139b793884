// The machine's arithmetic peak in this instruction set: independent multiply-adds in registers,
// the bound that benchmarks hold the other kernels against.

#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

// Two units of latency four need eight sums at least; twelve fit every register file.
double multiply_add_peak(int64_t rounds) {
    constexpr int kSums = 12;
    Vec sum[kSums];
    for (int i = 0; i < kSums; ++i) sum[i] = zero() + float(i);
    Vec factor = zero() + 0.999f, term = zero() + 0.001f;
    for (int64_t round = 0; round < rounds; ++round) {
        asm volatile("" : "+m"(factor), "+m"(term));  // no folding of rounds
        const Vec by = factor, plus = term;
        for (int repeat = 0; repeat < 16; ++repeat)
            for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * by + plus;
    }
    float check = 0.0f;
    for (int i = 0; i < kSums; ++i) check += sum[i][0];
    volatile float keep = check;
    (void)keep;
    return double(rounds) * 16 * kSums * kLanes * 2;
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
