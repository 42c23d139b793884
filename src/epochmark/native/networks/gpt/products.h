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
//
// In bfloat16 both round what they multiply (factors.h): the left factor once for all columns, a panel
// of the right one when it comes into L1. The room for that is on the stack, 144 kB.
#pragma once

#include "kernels/factors.h"
#include "kernels/simd.h"
#include "networks/gpt/kernels.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

constexpr int kDepth = 256;
#if EPOCHMARK_BFLOAT16
constexpr int kMostRows = 256;  // that are rounded together
#else
constexpr int kMostRows = 1 << 30;
#endif

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

// A matrix as products take it: along its rows, in panels of kPanel / kTogether factors a row.
struct Left {
    const Factor* data;
    ptrdiff_t stride;
};
static EPOCHMARK_INLINE Left from_row(Left matrix, int row) {
    return {matrix.data + ptrdiff_t(row) * (kPanel / kTogether), matrix.stride};
}
// Along its columns, in panels of kPanel factors for kTogether rows.
struct Right {
    const Factor* data;
    ptrdiff_t stride;
    EPOCHMARK_INLINE const Factor* at(int row, int column) const {
        return data + column / kPanel * stride + ptrdiff_t(row / kTogether) * kPanel;
    }
};

// Each in `room` for as many numbers, or where it lies. columns: to the end of a panel; rows: even.
Left along_rows(int rows, int columns, Panels matrix, Factor* room);
Right along_columns(int rows, int columns, Panels matrix, Factor* room);

// One panel of a product: c [rows][kPanel] (+)= a [rows][depth] b [depth][kPanel] + bias.
// `next`, if any: depth x kPanel floats to be fetched into L2 meanwhile. In bfloat16 a step beyond an odd
// depth is taken as well.
void multiply_panel(int rows, int depth, Left a, const Factor* b, const float* bias, Into into,
                    float* c, const float* next);
// c [kPanel][kPanel] (+)= a' b, of a panel of a, [depth][kPanel], and one of b; both along their columns.
void multiply_square(int depth, const Factor* a, const Factor* b, Into into, float* c);

struct Keep {
    EPOCHMARK_INLINE void operator()(int, int, int) const {}
};

// after(row, rows, column) is called when that part of a panel of c is done.
template <typename After = Keep>
EPOCHMARK_INLINE void multiply_then(int rows, int depth, int columns, Panels a, Panels b,
                                    const float* bias, Into into, Panels c, After after = {}) {
    Room<kMostRows, kDepth> left_room;
    Room<kDepth, kPanel> right_room;
    for (int row = 0; row < rows; row += kMostRows) {
        const int height = rows - row < kMostRows ? rows - row : kMostRows;
        for (int k = 0; k < depth; k += kDepth) {
            const int part = depth - k < kDepth ? depth - k : kDepth;
            const Left left =
                along_rows(height, part, from_row(from_column(a, k), row), left_room.data);
            for (int column = 0; column < columns; column += kPanel) {
                const Panels panel = from_row(from_column(b, column), k);
                const Right right = along_columns(part, kPanel, panel, right_room.data);
                const bool last = column + kPanel >= columns;
                multiply_panel(height, part, left, right.data,
                               bias && k == 0 ? bias + column : nullptr, k == 0 ? into : Into::add,
                               panel_of(c, column) + ptrdiff_t(row) * kPanel,
                               last ? nullptr : panel.data + b.stride);
                if (k + kDepth >= depth) after(row, height, column);
            }
        }
    }
}

void multiply(int rows, int depth, int columns, Panels a, Panels b, const float* bias, Into into,
              Panels c);
void multiply_transposed(int rows, int inputs, int outputs, Panels a, Panels b, Into into, Panels c,
                         float* column_sums);
// from [rows][columns] -> to [columns][rows], both multiples of kLanes
void transpose_matrix(int rows, int columns, Panels from, Panels to);

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
