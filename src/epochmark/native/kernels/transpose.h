// Transposition of a square of kLanes x kLanes floats in registers: log2(kLanes) rounds of
// interleaving row i with row i + kLanes / 2 (a perfect shuffle of rows and lanes at once).
#pragma once

#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

#if EPOCHMARK_LANES == 16
#define EPOCHMARK_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define EPOCHMARK_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif EPOCHMARK_LANES == 8
#define EPOCHMARK_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define EPOCHMARK_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif EPOCHMARK_LANES == 4
#define EPOCHMARK_LOW 0, 4, 1, 5
#define EPOCHMARK_HIGH 2, 6, 3, 7
#endif

#if defined(__clang__)
#define EPOCHMARK_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define EPOCHMARK_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Mask{__VA_ARGS__})
#endif

static EPOCHMARK_INLINE void transpose(Vec row[kLanes]) {
    for (int round = 1; round < kLanes; round *= 2) {
        Vec next[kLanes];
        for (int i = 0; i < kLanes / 2; ++i) {
            next[2 * i] = EPOCHMARK_SHUFFLE(row[i], row[i + kLanes / 2], EPOCHMARK_LOW);
            next[2 * i + 1] = EPOCHMARK_SHUFFLE(row[i], row[i + kLanes / 2], EPOCHMARK_HIGH);
        }
        for (int i = 0; i < kLanes; ++i) row[i] = next[i];
    }
}

#undef EPOCHMARK_SHUFFLE
#undef EPOCHMARK_LOW
#undef EPOCHMARK_HIGH

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
