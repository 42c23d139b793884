// Products of matrices in panels.
//
// A panel is kPanel columns, their rows one after the other. In that order a matrix can be any part of a
// product without being copied: as the right factor its panels are what gemm.h wants; as the left
// factor the twelve rows of a tile lie together, one panel after the other; transposed, the panel's
// columns are the rows of the result; and a tile of the result is stored as it lies in registers.
//
// multiply: kDepth rows of a panel of the right factor (32 kB of AVX-512) stay in L1 while the tiles of
// the left factor pass by, which stay in L2 over all panels; the next panel is fetched meanwhile.
// multiply_transposed: the same with up to kDepth positions as depth, so that a gradient's square of
// kPanel x kPanel is loaded and stored once for that many. The gradients of all weights are larger
// than L2, so the next square is fetched meanwhile: 7 % of a whole step. The sum of the columns is
// taken when a panel comes into L1.
#pragma once

#include "kernels/simd.h"
#include "networks/gpt/kernels.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

constexpr int kDepth = 256;

static EPOCHMARK_INLINE float* panel_of(Panels matrix, int column) {
    return matrix.data + column / kPanel * matrix.stride;
}
// The matrix without its first rows, or columns (whole panels).
static EPOCHMARK_INLINE Panels from_row(Panels matrix, int row) {
    return {matrix.data + ptrdiff_t(row) * kPanel, matrix.stride};
}
static EPOCHMARK_INLINE Panels from_column(Panels matrix, int column) {
    return {panel_of(matrix, column), matrix.stride};
}

// One panel of a product: c [rows][kPanel] (+)= a [rows][depth] b [depth][kPanel] + bias.
// `next`, if any: as many floats as b has, to be fetched into L2 meanwhile.
void multiply_panel(int rows, int depth, Panels a, const float* b, const float* bias, Into into,
                    float* c, const float* next);
// c [kPanel][kPanel] (+)= a' b, of a [depth][kPanel] and b [depth][kPanel].
void multiply_square(int depth, const float* a, const float* b, Into into, float* c);

void multiply(int rows, int depth, int columns, Panels a, Panels b, const float* bias, Into into,
              Panels c);
void multiply_transposed(int rows, int inputs, int outputs, Panels a, Panels b, Into into, Panels c,
                         float* column_sums);
// from [rows][columns] -> to [columns][rows], both multiples of kLanes
void transpose_matrix(int rows, int columns, Panels from, Panels to);

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
