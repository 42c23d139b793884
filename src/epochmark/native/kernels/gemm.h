// Register-blocked matrix product: the inner kernel of conv_2 and dense_1.
//
// One call keeps a tile of kRows x kVectors vectors of C in registers over the whole of K, reads
// kVectors vectors of B and kRows broadcast scalars of A per step (the scheme of Goto and van de
// Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008, and of BLIS). Callers choose
// K and the loop order so that the B panel stays in L1. Strides are template arguments: with them
// known the addresses fold into the instructions. Factors are those of factors.h, of either kind.
#pragma once

#include "kernels/factors.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

// C[row][...] (+)= sum over k of A[row * kRowA + k * kStepA] * B[k * kStepB + ...]
template <int kRows, int kVectors, ptrdiff_t kRowA, ptrdiff_t kStepA, ptrdiff_t kStepB,
          ptrdiff_t kRowC, typename F>
static EPOCHMARK_INLINE void gemm_tile(int depth, const F* a, const F* b, float* c,
                                       bool accumulate) {
    Vec sum[kRows][kVectors];
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kVectors; ++j) sum[i][j] = zero();
#pragma GCC unroll 1
    for (int k = 0; k < depth; ++k) {
        decltype(load_right(b)) right[kVectors];
        for (int j = 0; j < kVectors; ++j) right[j] = load_right(b + j * kLanes);
        for (int i = 0; i < kRows; ++i) {
            const F left = a[i * kRowA];  // broadcast by the product
            for (int j = 0; j < kVectors; ++j) add_product(sum[i][j], left, right[j]);
        }
        a += kStepA;
        b += kStepB;
    }
    // Added at the end rather than carried along: sums of sums round less than one long sum.
    if (accumulate)
        for (int i = 0; i < kRows; ++i)
            for (int j = 0; j < kVectors; ++j) sum[i][j] += load(c + i * kRowC + j * kLanes);
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kVectors; ++j) store(c + i * kRowC + j * kLanes, sum[i][j]);
}

struct Nothing {
    EPOCHMARK_INLINE void operator()(int) const {}
};

// A column of tiles: any number of rows of C, kVectors vectors wide. after(count) is called after
// each tile of that many rows.
template <int kVectors, ptrdiff_t kRowA, ptrdiff_t kStepA, ptrdiff_t kStepB, ptrdiff_t kRowC,
          typename After = Nothing, typename F>
static EPOCHMARK_INLINE void gemm_column(int rows, int depth, const F* a, const F* b, float* c,
                                         bool accumulate, After after = {}) {
    int row = 0;
#define EPOCHMARK_ROWS(count)                                                            \
    for (; row + (count) <= rows; row += (count)) {                                      \
        gemm_tile<(count), kVectors, kRowA, kStepA, kStepB, kRowC>(                      \
            depth, a + row * kRowA, b, c + row * kRowC, accumulate);                     \
        after(count);                                                                    \
    }
    EPOCHMARK_ROWS(kTileRows)
    if (kTileRows > 8) EPOCHMARK_ROWS(8)
    if (kTileRows > 6) EPOCHMARK_ROWS(6)
    EPOCHMARK_ROWS(4)
    EPOCHMARK_ROWS(2)
    EPOCHMARK_ROWS(1)
#undef EPOCHMARK_ROWS
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
