// A product of two square matrices as large as caches matter for: what gemm.h reaches on its own.
//
// B is copied into panels [n / kPanel][n][kPanel] once. A thread takes kProductRows rows of A, copies
// them into tiles [rows / kTileRows][n][kTileRows], and goes over all panels: kDepth rows of a panel
// stay in L1 while the tiles pass by, the tiles in L2 (Goto and van de Geijn, 2008).

#include "kernels/kernels.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"

namespace epochmark {
namespace EPOCHMARK_ISA {

namespace {

constexpr int kDepth = 256;
static_assert(kProductSize % kPanel == 0 && kProductSize % kDepth == 0 &&
                  kProductRows % kTileRows == 0 && kProductSize % kProductRows == 0,
              "whole tiles");

}  // namespace

void product_pack(const float* b, int panel_begin, int panel_end, float* panels) {
    for (int panel = panel_begin; panel < panel_end; ++panel)
        for (int k = 0; k < kProductSize; ++k)
            for (int j = 0; j < kPanel; j += kLanes)
                store(panels + (ptrdiff_t(panel) * kProductSize + k) * kPanel + j,
                      load(b + ptrdiff_t(k) * kProductSize + panel * kPanel + j));
}

void product_rows(const float* a, const float* panels, float* tiles, float* c) {
    for (int row = 0; row < kProductRows; ++row)
        for (int k = 0; k < kProductSize; ++k)
            tiles[(row / kTileRows * kProductSize + k) * kTileRows + row % kTileRows] =
                a[ptrdiff_t(row) * kProductSize + k];
    for (int column = 0; column < kProductSize; column += kPanel)
        for (int k = 0; k < kProductSize; k += kDepth)
            for (int row = 0; row < kProductRows; row += kTileRows)
                gemm_tile<kTileRows, kTileVectors, 1, kTileRows, kPanel, kProductSize>(
                    kDepth, tiles + row * kProductSize + k * kTileRows,
                    panels + ptrdiff_t(column) * kProductSize + k * kPanel,
                    c + ptrdiff_t(row) * kProductSize + column, k > 0);
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
