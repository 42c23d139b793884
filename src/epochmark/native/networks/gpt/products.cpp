#include "networks/gpt/products.h"

#include "kernels/transpose.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

// Sums in registers over the whole depth; a's rows are kRowA apart, its steps kStepA within a panel.
template <int kRows, ptrdiff_t kRowA, ptrdiff_t kStepA>
struct Tile {
    Vec sum[kRows][kTileVectors];

    EPOCHMARK_INLINE void start(const float* bias) {
        for (int j = 0; j < kTileVectors; ++j) {
            const Vec first = bias ? load(bias + j * kLanes) : zero();
            for (int i = 0; i < kRows; ++i) sum[i][j] = first;
        }
    }
    EPOCHMARK_INLINE void multiply(int depth, const float* a, const float* b) {
#pragma GCC unroll 1
        for (int k = 0; k < depth; ++k) {
            Vec right[kTileVectors];
            for (int j = 0; j < kTileVectors; ++j) right[j] = load(b + j * kLanes);
            for (int i = 0; i < kRows; ++i) {
                const float left = a[i * kRowA];  // broadcast by the product
                for (int j = 0; j < kTileVectors; ++j) sum[i][j] += left * right[j];
            }
            a += kStepA;
            b += kPanel;
        }
    }
    EPOCHMARK_INLINE void finish(Into into, float* c) {
        if (into == Into::add)
            for (int i = 0; i < kRows; ++i)
                for (int j = 0; j < kTileVectors; ++j) sum[i][j] += load(c + i * kPanel + j * kLanes);
        for (int i = 0; i < kRows; ++i)
            for (int j = 0; j < kTileVectors; ++j) store(c + i * kPanel + j * kLanes, sum[i][j]);
    }
};

template <int kRows>
EPOCHMARK_INLINE void multiply_tile(int depth, Panels a, const float* b, const float* bias, Into into,
                                    float* c) {
    Tile<kRows, kPanel, 1> tile;
    tile.start(bias);
    for (; depth > 0; depth -= kPanel, a.data += a.stride, b += kPanel * kPanel)
        tile.multiply(depth < kPanel ? depth : kPanel, a.data, b);
    tile.finish(into, c);
}

template <int kRows>
EPOCHMARK_INLINE void multiply_rows_of_square(int depth, const float* a, const float* b, Into into,
                                              float* c) {
    Tile<kRows, 1, kPanel> tile;
    tile.start(nullptr);
    tile.multiply(depth, a, b);
    tile.finish(into, c);
}

// Calls of tiles for any number of rows: whole ones, and the rest in as few as keep both
// multiply-add units busy.
template <typename Call>
EPOCHMARK_INLINE void for_tiles(int rows, Call call) {
    int row = 0;
    for (; rows - row >= kTileRows && (kTileRows != 6 || rows - row != 8); row += kTileRows)
        call.template tile<kTileRows>(row);
    if (kTileRows > 8)
        for (; rows - row >= 8; row += 8) call.template tile<8>(row);
    for (; rows - row >= 4; row += 4) call.template tile<4>(row);
    for (; row < rows; ++row) call.template tile<1>(row);
}

struct PanelCall {
    int depth;
    Panels a;
    const float* b;
    const float* bias;
    Into into;
    float* c;
    const float* next;
    int fetched;  // floats of `next` for each row
    template <int kRows>
    EPOCHMARK_INLINE void tile(int row) {
        if (next)
            for (int i = row * fetched; i < (row + kRows) * fetched; i += 16)
                __builtin_prefetch(next + i, 0, 2);
        multiply_tile<kRows>(depth, from_row(a, row), b, bias, into, c + row * kPanel);
    }
};

struct SquareCall {
    int depth;
    const float* a;
    const float* b;
    Into into;
    float* c;
    template <int kRows>
    EPOCHMARK_INLINE void tile(int row) {
        multiply_rows_of_square<kRows>(depth, a + row, b, into, c + row * kPanel);
    }
};

EPOCHMARK_INLINE void fetch_to_write(const float* from, int count) {
    for (int i = 0; i < count; i += 16) __builtin_prefetch(from + i, 1, 2);
}

void sum_columns(int rows, const float* panel, Into into, float* sums) {
    for (int j = 0; j < kPanel; j += kLanes) {
        Vec total = zero(), other = zero();
        int row = 0;
        for (; row + 2 <= rows; row += 2) {
            total += load(panel + row * kPanel + j);
            other += load(panel + (row + 1) * kPanel + j);
        }
        if (row < rows) total += load(panel + row * kPanel + j);
        total += other;
        if (into == Into::add) total += load(sums + j);
        store(sums + j, total);
    }
}

}  // namespace

void multiply_panel(int rows, int depth, Panels a, const float* b, const float* bias, Into into,
                    float* c, const float* next) {
    const int each = (depth * kPanel / (rows > 0 ? rows : 1) + 15) / 16 * 16;
    for_tiles(rows, PanelCall{depth, a, b, bias, into, c, next, each});
}

void multiply_square(int depth, const float* a, const float* b, Into into, float* c) {
    for_tiles(kPanel, SquareCall{depth, a, b, into, c});
}

void multiply(int rows, int depth, int columns, Panels a, Panels b, const float* bias, Into into,
              Panels c) {
    for (int k = 0; k < depth; k += kDepth) {
        const int part = depth - k < kDepth ? depth - k : kDepth;
        for (int column = 0; column < columns; column += kPanel) {
            const float* panel = panel_of(b, column) + ptrdiff_t(k) * kPanel;
            const bool last = column + kPanel >= columns;
            multiply_panel(rows, part, from_column(a, k), panel,
                           bias && k == 0 ? bias + column : nullptr, k == 0 ? into : Into::add,
                           panel_of(c, column), last ? nullptr : panel + b.stride);
        }
    }
}

void multiply_transposed(int rows, int inputs, int outputs, Panels a, Panels b, Into into, Panels c,
                         float* column_sums) {
    for (int row = 0; row < rows; row += kDepth) {
        const int part = rows - row < kDepth ? rows - row : kDepth;
        const Panels left = from_row(a, row), right = from_row(b, row);
        for (int out = 0; out < outputs; out += kPanel) {
            if (column_sums) sum_columns(part, panel_of(right, out), into, column_sums + out);
            for (int in = 0; in < inputs; in += kPanel) {
                float* square = panel_of(c, out) + ptrdiff_t(in) * kPanel;
                fetch_to_write(square + kPanel * kPanel, kPanel * kPanel);
                multiply_square(part, panel_of(left, in), panel_of(right, out), into, square);
            }
        }
        into = Into::add;
    }
}

void transpose_matrix(int rows, int columns, Panels from, Panels to) {
    for (int column = 0; column < columns; column += kLanes)
        for (int row = 0; row < rows; row += kLanes) {
            const float* source = panel_of(from, column) + ptrdiff_t(row) * kPanel + column % kPanel;
            float* target = panel_of(to, row) + ptrdiff_t(column) * kPanel + row % kPanel;
            Vec square[kLanes];
            for (int i = 0; i < kLanes; ++i) square[i] = load(source + i * kPanel);
            transpose(square);
            for (int i = 0; i < kLanes; ++i) store(target + i * kPanel, square[i]);
        }
}

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
