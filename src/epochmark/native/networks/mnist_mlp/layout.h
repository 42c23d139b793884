// Shapes of mnist-mlp and where each array lies among the stored parameters.
#pragma once

#include <cstddef>

namespace epochmark {
namespace mnist_mlp {

constexpr int kPixels = 784;
constexpr int kUnits = 2048;  // of dense_1 and dense_2
constexpr int kClasses = 10;
constexpr int kClassesPadded = 16;

// Columns of a kernel that are stored together, as [columns / kColumns][rows][kColumns], and are one
// thread's in every step.
constexpr int kColumns = 64;
constexpr int kBlocks = kUnits / kColumns;

// Rows of activations are a cache line longer than needed, and the rest is zero: 2048 floats are a
// multiple of the page size, and the same column of every row would share one L1 set; and the last
// tile of a kernel's rows may reach beyond them.
constexpr int kPixelStride = kPixels + 16;
constexpr int kUnitStride = kUnits + 16;

// Stored parameters: the kernels of dense_1 and dense_2 in blocks of columns, that of dense_3
// transposed, [10][2048], so that a block of dense_2's columns is a part of each of its rows.
constexpr std::size_t kKernel1 = 0;
constexpr std::size_t kBias1 = kKernel1 + std::size_t(kPixels) * kUnits;
constexpr std::size_t kKernel2 = kBias1 + kUnits;
constexpr std::size_t kBias2 = kKernel2 + std::size_t(kUnits) * kUnits;
constexpr std::size_t kKernel3 = kBias2 + kUnits;
constexpr std::size_t kBias3 = kKernel3 + std::size_t(kUnits) * kClasses;
constexpr std::size_t kParameters = kBias3 + kClasses;

}  // namespace mnist_mlp
}  // namespace epochmark
