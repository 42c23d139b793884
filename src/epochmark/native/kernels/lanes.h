// The sum and the largest of a vector's lanes, in every lane: log2(kLanes) exchanges of halves.
#pragma once

#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

#define EPOCHMARK_FOUR(half, i) (i) ^ half, (i + 1) ^ half, (i + 2) ^ half, (i + 3) ^ half
#if EPOCHMARK_LANES == 16
#define EPOCHMARK_ALL(half) \
    EPOCHMARK_FOUR(half, 0), EPOCHMARK_FOUR(half, 4), EPOCHMARK_FOUR(half, 8), EPOCHMARK_FOUR(half, 12)
#elif EPOCHMARK_LANES == 8
#define EPOCHMARK_ALL(half) EPOCHMARK_FOUR(half, 0), EPOCHMARK_FOUR(half, 4)
#elif EPOCHMARK_LANES == 4
#define EPOCHMARK_ALL(half) EPOCHMARK_FOUR(half, 0)
#endif

// Lane i is lane i ^ kHalf of the value.
template <int kHalf>
EPOCHMARK_INLINE Vec exchanged(Vec value) {
#if defined(__clang__)
    return __builtin_shufflevector(value, value, EPOCHMARK_ALL(kHalf));
#else
    return __builtin_shuffle(value, Mask{EPOCHMARK_ALL(kHalf)});
#endif
}

#undef EPOCHMARK_ALL
#undef EPOCHMARK_FOUR

template <int kHalf = kLanes / 2>
EPOCHMARK_INLINE float sum_lanes(Vec value) {
    value += exchanged<kHalf>(value);
    if constexpr (kHalf > 1) return sum_lanes<kHalf / 2>(value);
    return value[0];
}

template <int kHalf = kLanes / 2>
EPOCHMARK_INLINE float largest_lane(Vec value) {
    const Vec other = exchanged<kHalf>(value);
    value = value > other ? value : other;
    if constexpr (kHalf > 1) return largest_lane<kHalf / 2>(value);
    return value[0];
}

static EPOCHMARK_INLINE Mask lane_numbers() {
    Mask lanes;
    for (int i = 0; i < kLanes; ++i) lanes[i] = i;
    return lanes;
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
