// Adam over flat arrays, one pass; the compiler vectorises the loop (-fno-math-errno).

#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

void adam(float* __restrict value, float* __restrict first_moment, float* __restrict second_moment,
          const float* __restrict gradient, int64_t count, const AdamStep* step) {
    const float rate = step->rate, epsilon = step->epsilon;
    const float one_minus_beta_1 = step->one_minus_beta_1;
    const float one_minus_beta_2 = step->one_minus_beta_2;
    for (int64_t i = 0; i < count; ++i) {
        const float g = gradient[i];
        const float m = first_moment[i] + (g - first_moment[i]) * one_minus_beta_1;
        const float v = second_moment[i] + (g * g - second_moment[i]) * one_minus_beta_2;
        first_moment[i] = m;
        second_moment[i] = v;
        value[i] -= rate * m / (__builtin_sqrtf(v) + epsilon);
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
