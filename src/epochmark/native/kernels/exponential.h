// 2^y of vectors, to float32 rounding, and what softmax and GELU need of it.
//
// y is split into a whole number n and a rest of at most 1/2 by adding 1.5 * 2^23 (no rounding mode
// but the usual is needed); 2^rest is a polynomial of degree 6, the best in relative error with its
// constant 1 (2e-9, far below rounding); 2^n is put together from bits. y is held to -126 .. 127: what
// is smaller gives 1e-38, as good as nothing beside a largest term of 1. NaN stays NaN.
#pragma once

#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

constexpr float kLog2OfE = 1.44269504088896341f;
constexpr float kLogOf2 = 0.693147180559945309f;

static EPOCHMARK_INLINE Vec power_of_2(Vec y) {
    y = y < -126.0f ? zero() - 126.0f : y;
    y = y > 127.0f ? zero() + 127.0f : y;
    const float kShift = 12582912.0f + 127.0f;  // its low bits become n + 127, the exponent's bits
    const Vec shifted = y + kShift;
    const Vec rest = y - (shifted - kShift);
    Vec power = rest * 0.00015353361959569156f + 0.0013398875016719103f;
    power = power * rest + 0.00961843691766262f;
    power = power * rest + 0.055503323674201965f;
    power = power * rest + 0.24022647738456726f;
    power = power * rest + 0.6931471824645996f;
    power = power * rest + 1.0f;
    return power * (Vec)((Mask)shifted << 23);
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
