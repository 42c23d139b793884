#include "networks/gpt/products.h"

#include "kernels/transpose.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

namespace {

// Sums in registers over the whole depth; a's rows are kRowA factors apart, its steps kStepA within a
// panel.
template <int kRows, ptrdiff_t kRowA, ptrdiff_t kStepA>
struct Tile {
    Vec sum[kRows][kTileVectors];

    EPOCHMARK_INLINE void start(const float* bias) {
        for (int j = 0; j < kTileVectors; ++j) {
            const Vec first = bias ? load(bias + j * kLanes) : zero();
            for (int i = 0; i < kRows; ++i) sum[i][j] = first;
        }
    }
    EPOCHMARK_INLINE void multiply(int depth, const Factor* a, const Factor* b) {
#pragma GCC unroll 1
        for (int k = 0; k < depth; k += kTogether) {
            decltype(load_right(b)) right[kTileVectors];
            for (int j = 0; j < kTileVectors; ++j) right[j] = load_right(b + j * kLanes);
            for (int i = 0; i < kRows; ++i) {
                const Factor left = a[i * kRowA];  // broadcast by the product
                for (int j = 0; j < kTileVectors; ++j) add_product(sum[i][j], left, right[j]);
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
EPOCHMARK_INLINE void multiply_tile(int depth, Left a, const Factor* b, const float* bias, Into into,
                                    float* c) {
    constexpr int kRow = kPanel / kTogether;
    Tile<kRows, kRow, 1> tile;
    tile.start(bias);
    for (; depth > 0; depth -= kPanel, a.data += a.stride, b += kRow * kPanel)
        tile.multiply(depth < kPanel ? depth : kPanel, a.data, b);
    tile.finish(into, c);
}

template <int kRows>
EPOCHMARK_INLINE void multiply_rows_of_square(int depth, const Factor* a, const Factor* b, Into into,
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
    Left a;
    const Factor* b;
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
    const Factor* a;
    const Factor* b;
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

#if EPOCHMARK_BFLOAT16

Left along_rows(int rows, int columns, Panels matrix, Factor* room) {
    constexpr int kRow = kPanel / kTogether;
    static_assert(kRow == kLanes, "a row of a panel is one vector");
    Factor* to = room;
    for (int column = 0; column < columns; column += kPanel) {
        const float* from = panel_of(matrix, column);
        for (int row = 0; row < rows; ++row, from += kPanel, to += kRow) round_row(from, to);
    }
    return {room, ptrdiff_t(rows) * kRow};
}

Right along_columns(int rows, int columns, Panels matrix, Factor* room) {
    Factor* to = room;
    for (int column = 0; column < columns; column += kPanel) {
        const float* from = panel_of(matrix, column);
        for (int row = 0; row < rows; row += 2, from += 2 * kPanel, to += kPanel)
            for (int j = 0; j < kPanel; j += kLanes)
                round_rows(from + j, from + kPanel + j, to + j);
    }
    return {room, ptrdiff_t(rows / 2) * kPanel};
}

#else

Left along_rows(int, int, Panels matrix, Factor*) { return {matrix.data, matrix.stride}; }
Right along_columns(int, int, Panels matrix, Factor*) { return {matrix.data, matrix.stride}; }

#endif

void multiply_panel(int rows, int depth, Left a, const Factor* b, const float* bias, Into into,
                    float* c, const float* next) {
    const int each = (depth * kPanel / (rows > 0 ? rows : 1) + 15) / 16 * 16;
    for_tiles(rows, PanelCall{depth, a, b, bias, into, c, next, each});
}

void multiply_square(int depth, const Factor* a, const Factor* b, Into into, float* c) {
    for_tiles(kPanel, SquareCall{depth, a, b, into, c});
}

void multiply(int rows, int depth, int columns, Panels a, Panels b, const float* bias, Into into,
              Panels c) {
    multiply_then(rows, depth, columns, a, b, bias, into, c);
}

void multiply_transposed(int rows, int inputs, int outputs, Panels a, Panels b, Into into, Panels c,
                         float* column_sums) {
    Room<kDepth, kMostRows> left_room;
    Room<kDepth, kPanel> right_room;
    for (int row = 0; row < rows; row += kDepth) {
        const int part = rows - row < kDepth ? rows - row : kDepth;
        for (int begin = 0; begin < inputs; begin += kMostRows) {
            const int height = inputs - begin < kMostRows ? inputs - begin : kMostRows;
            const Right left = along_columns(part, height, from_row(from_column(a, begin), row),
                                             left_room.data);
            for (int out = 0; out < outputs; out += kPanel) {
                const Panels panel = from_row(from_column(b, out), row);
                if (column_sums && begin == 0)
                    sum_columns(part, panel.data, into, column_sums + out);
                const Right right = along_columns(part, kPanel, panel, right_room.data);
                for (int in = 0; in < height; in += kPanel) {
                    float* square = panel_of(c, out) + ptrdiff_t(begin + in) * kPanel;
                    fetch_to_write(square + kPanel * kPanel, kPanel * kPanel);
                    multiply_square(part, left.at(0, in), right.data, into, square);
                }
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
