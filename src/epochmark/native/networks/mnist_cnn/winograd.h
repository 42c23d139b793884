// The one-dimensional transforms of F(4, 3) with the points 0, 1, -1, 2, -2 (Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2015), and their transposes.
//
// Forward, per tile:   Y = A' [ (G g G') * (B' d B) ] A        (' is transposition, * elementwise)
// That is linear in d and in g, so its exact gradients are the transposed steps in reverse order:
//   d_data   = B [ (G g G') * (A dY A') ] B'     (6 x 6 patches, overlapping ones are added)
//   d_kernel = G' [ sum over tiles of (B' d B) * (A dY A') ] G
// All three products run over the same 36 tiles x 36 positions; nothing is computed on padding.
#pragma once

#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

// B': 6 -> 6
static EPOCHMARK_INLINE void transform_data(const Vec d[6], Vec v[6]) {
    const Vec even = d[4] - 4.0f * d[2];
    const Vec odd = d[3] - 4.0f * d[1];
    const Vec even_2 = d[4] - d[2];
    const Vec odd_2 = 2.0f * (d[3] - d[1]);
    v[0] = 4.0f * (d[0] - d[2]) + even_2;
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = even_2 + odd_2;
    v[4] = even_2 - odd_2;
    v[5] = 4.0f * (d[1] - d[3]) + (d[5] - d[3]);
}

// B: 6 -> 6
static EPOCHMARK_INLINE void transform_data_back(const Vec v[6], Vec d[6]) {
    const Vec sum_1 = v[1] + v[2], difference_1 = v[1] - v[2];
    const Vec sum_2 = v[3] + v[4], difference_2 = 2.0f * (v[3] - v[4]);
    d[0] = 4.0f * v[0];
    d[1] = 4.0f * (v[5] - difference_1) - difference_2;
    d[2] = -5.0f * v[0] - 4.0f * sum_1 - sum_2;
    d[3] = difference_1 + difference_2 - 5.0f * v[5];
    d[4] = v[0] + sum_1 + sum_2;
    d[5] = v[5];
}

// A': 6 -> 4
static EPOCHMARK_INLINE void transform_output(const Vec m[6], Vec y[4]) {
    const Vec sum_1 = m[1] + m[2], difference_1 = m[1] - m[2];
    const Vec sum_2 = m[3] + m[4], difference_2 = m[3] - m[4];
    y[0] = m[0] + sum_1 + sum_2;
    y[1] = difference_1 + 2.0f * difference_2;
    y[2] = sum_1 + 4.0f * sum_2;
    y[3] = difference_1 + 8.0f * difference_2 + m[5];
}

// A: 4 -> 6
static EPOCHMARK_INLINE void transform_output_back(const Vec y[4], Vec m[6]) {
    const Vec even = y[0] + y[2], odd = y[1] + y[3];
    const Vec even_2 = y[0] + 4.0f * y[2], odd_2 = 2.0f * y[1] + 8.0f * y[3];
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = even_2 + odd_2;
    m[4] = even_2 - odd_2;
    m[5] = y[3];
}

// G: 3 -> 6
static EPOCHMARK_INLINE void transform_kernel(const Vec g[3], Vec u[6]) {
    const Vec even = (-1.0f / 6) * (g[0] + g[2]), odd = (1.0f / 6) * g[1];
    const Vec even_2 = (1.0f / 24) * g[0] + (1.0f / 6) * g[2], odd_2 = (1.0f / 12) * g[1];
    u[0] = 0.25f * g[0];
    u[1] = even - odd;
    u[2] = even + odd;
    u[3] = even_2 + odd_2;
    u[4] = even_2 - odd_2;
    u[5] = g[2];
}

// G': 6 -> 3
static EPOCHMARK_INLINE void transform_kernel_back(const Vec u[6], Vec g[3]) {
    const Vec sum_1 = u[1] + u[2], sum_2 = u[3] + u[4];
    g[0] = 0.25f * u[0] - (1.0f / 6) * sum_1 + (1.0f / 24) * sum_2;
    g[1] = (1.0f / 6) * (u[2] - u[1]) + (1.0f / 12) * (u[3] - u[4]);
    g[2] = (1.0f / 6) * (sum_2 - sum_1) + u[5];
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
