// dense_1 (9216 -> 128): one of the three big products per pass, and the big parameter array.
//
// The kernel is held as panels [128 / kPanel][9216][kPanel], so that a block of rows of one panel
// is contiguous: it is the right-hand side of the forward product, and what one tile of the
// kernel gradient updates. Forward blocks the features by 192 (one panel's block in L1). Backward
// takes 96 features at a time through all three steps while their weights are in cache: gradient of
// the features (with the old weights), gradient of the weights, Adam. The weights' gradient never
// exists as a whole: Adam follows every tile of it, so that its divisions and square roots overlap the
// next tile's products, and the next tile's moments are fetched meanwhile.
//
// Threads share the features, not the images, in both directions: a weight and its moments are then
// touched by one core only. Shared by images forward, every store of Adam waited for the other
// core to give up its copy: 3.5 ms a step instead of 0.4.

#include "networks/mnist_cnn/kernels.h"
#include "kernels/gemm.h"
#include "kernels/simd.h"
#include "kernels/transpose.h"

namespace epochmark {

namespace EPOCHMARK_ISA {
void adam(float* value, float* first_moment, float* second_moment, const float* gradient,
          int64_t count, const AdamStep* step);
}

namespace mnist_cnn {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

namespace {

constexpr int kDepthBlock = 192;
static_assert(kFeatureBlock % kPanel == 0 && kFeatureBlock % kTileRows == 0, "whole tiles");

// kernel rows [feature, feature + kPanel) -> [unit][kPanel]
void transpose_kernel(const float* kernel, int feature, float* transposed) {
    for (int panel = 0; panel < kHidden / kPanel; ++panel) {
        const float* from = kernel + (panel * kFeatures + feature) * kPanel;
        float* to = transposed + panel * kPanel * kPanel;
        for (int i = 0; i < kPanel; i += kLanes)
            for (int j = 0; j < kPanel; j += kLanes) {
                Vec square[kLanes];
                for (int k = 0; k < kLanes; ++k) square[k] = load(from + (j + k) * kPanel + i);
                transpose(square);
                for (int k = 0; k < kLanes; ++k) store(to + (i + k) * kPanel + j, square[k]);
            }
    }
}

void prefetch(const float* from, int count) {
    for (int i = 0; i < count; i += 16) __builtin_prefetch(from + i, 1, 2);
}

// Fetches the same rows of other features while a product walks down the rows.
struct Ahead {
    const float* row;
    int count;
    EPOCHMARK_INLINE void operator()(int rows) {
        for (; rows > 0; --rows, row += kFeatureStride)
            for (int i = 0; i < count; i += 16) __builtin_prefetch(row + i, 0, 2);
    }
};

}  // namespace

// features [rows][kFeatureStride] -> partial [rows][128]: the products over these features only
void dense_1_forward(const float* features, int rows, int feature_begin, int feature_end,
                     const float* kernel, float* partial) {
    for (int feature = feature_begin; feature < feature_end; feature += kDepthBlock) {
        const int left = feature_end - feature;
        constexpr int kPart = kDepthBlock / (kHidden / kPanel);
        for (int panel = 0; panel < kHidden / kPanel; ++panel) {
            Ahead next{features + feature + kDepthBlock + panel * kPart, kPart};
            gemm_column<kTileVectors, kFeatureStride, 1, kPanel, kHidden>(
                rows, left < kDepthBlock ? left : kDepthBlock, features + feature,
                kernel + (ptrdiff_t(panel) * kFeatures + feature) * kPanel,
                partial + panel * kPanel, feature > feature_begin, next);
        }
    }
}

// For the kFeatureBlock features from feature_begin: replaces features by their gradient and
// updates their weights. hidden_gradient_panels is hidden_gradient as [128 / kPanel][rows][kPanel].
void dense_1_backward(float* features, int rows, int feature_begin, const float* hidden_gradient,
                      const float* hidden_gradient_panels, float* packed_features,
                      const Parameters* parameters, const AdamStep* step, ThreadScratch* scratch) {
    for (int row = 0; row < rows; ++row)
        for (int i = 0; i < kFeatureBlock; i += kLanes)
            store(packed_features + row * kFeatureBlock + i,
                  load(features + ptrdiff_t(row) * kFeatureStride + feature_begin + i));

    const float* kernel = parameters->value + kDense1Kernel;
    for (int i = 0; i < kFeatureBlock; i += kPanel) {
        transpose_kernel(kernel, feature_begin + i, scratch->transposed_kernel);
        gemm_column<kTileVectors, kHidden, 1, kPanel, kFeatureStride>(
            rows, kHidden, hidden_gradient, scratch->transposed_kernel,
            features + feature_begin + i, false,
            Ahead{features + feature_begin + kFeatureBlock + i, kPanel});
    }

    constexpr int kCount = kTileRows * kPanel;
    for (int panel = 0; panel < kHidden / kPanel; ++panel) {
        const float* right = hidden_gradient_panels + ptrdiff_t(panel) * rows * kPanel;
        for (int i = 0; i < kFeatureBlock; i += kTileRows) {
            const ptrdiff_t offset =
                kDense1Kernel + (ptrdiff_t(panel) * kFeatures + feature_begin + i) * kPanel;
            float* gradient =
                parameters->gradient ? parameters->gradient + offset : scratch->tile_gradient;
            prefetch(parameters->first_moment + offset + kCount, kCount);
            prefetch(parameters->second_moment + offset + kCount, kCount);
            gemm_tile<kTileRows, kTileVectors, 1, kFeatureBlock, kPanel, kPanel>(
                rows, packed_features + i, right, gradient, false);
            if (!parameters->gradient)
                adam(parameters->value + offset, parameters->first_moment + offset,
                     parameters->second_moment + offset, gradient, kCount, step);
        }
    }
}

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_cnn
}  // namespace epochmark
