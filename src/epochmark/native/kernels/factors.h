// What a product multiplies, in the precision that this file is compiled for.
//
// float32: the numbers where they lie. bfloat16 (EPOCHMARK_BFLOAT16): pairs of neighbours along the depth
// of the product, rounded to nearest, which one instruction multiplies and adds to a float32 sum
// (vdpbf16ps of AVX512_BF16: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2).
// Weights and activations stay float32 in memory. A product rounds a part of a factor into room of its own
// when it takes it up, and uses it often enough for that to cost some hundredths: a panel of 256 x 32
// weights is rounded in a thousand cycles and multiplied for 65,000.
//
// A factor is taken along its rows, pairs within a row, or along its columns: pairs of two rows.
#pragma once

#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

static EPOCHMARK_INLINE Vec load_right(const float* from) { return load(from); }
static EPOCHMARK_INLINE void add_product(Vec& sum, float left, Vec right) { sum += left * right; }

#if EPOCHMARK_BFLOAT16

struct __attribute__((may_alias)) Pair {
    uint32_t both;  // the first one in the low half
};
typedef Pair Factor;
constexpr int kTogether = 2;  // steps of a product's depth in a factor

static EPOCHMARK_INLINE __m512i load_right(const Pair* from) { return _mm512_loadu_si512(from); }
static EPOCHMARK_INLINE void add_product(Vec& sum, Pair left, __m512i right) {
    const __m512i factor = _mm512_set1_epi32(int(left.both));  // broadcast by the instruction
    sum = (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)factor, (__m512bh)right);
}

// 32 numbers of a row as 16 pairs.
static EPOCHMARK_INLINE void round_row(const float* from, Pair* to) {
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh((__m512)load(from + kLanes),
                                                         (__m512)load(from)));
}
// 16 numbers of each of two rows as 16 pairs.
static EPOCHMARK_INLINE __m512i rounded_together(Vec first, Vec second) {
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    alignas(64) static constexpr uint16_t kOrder[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), halves);
}
static EPOCHMARK_INLINE void store(Pair* to, __m512i pairs) { _mm512_storeu_si512(to, pairs); }
static EPOCHMARK_INLINE void round_rows(const float* first, const float* second, Pair* to) {
    store(to, rounded_together(load(first), load(second)));
}

// Room for as many rounded numbers.
template <int kRows, int kColumns>
struct Room {
    alignas(64) Pair data[kRows * kColumns / 2];
};

#else

typedef float Factor;
constexpr int kTogether = 1;

template <int kRows, int kColumns>
struct Room {
    static constexpr Factor* data = nullptr;
};

#endif

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
