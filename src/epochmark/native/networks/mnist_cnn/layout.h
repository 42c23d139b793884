// Shapes of mnist-cnn and where each array lies in the flat parameter vector.
#pragma once

#include <cstddef>

namespace epochmark {
namespace mnist_cnn {

constexpr int kImageSide = 28;
constexpr int kPixels = kImageSide * kImageSide;
constexpr int kTaps = 9;  // of a 3x3 kernel

constexpr int kSide1 = 26;  // conv_1 output: 26 x 26 x 32
constexpr int kChannels1 = 32;
constexpr int kChannelGroup = 16;  // of conv_2's inputs whose kernels one thread transforms together
constexpr int kPlane1 = kSide1 * kSide1;

constexpr int kChannels2 = 64;  // conv_2 output: 24 x 24 x 64, pooled to 12 x 12 x 64
constexpr int kPoolSide = 12;
constexpr int kFeatures = kPoolSide * kPoolSide * kChannels2;

constexpr int kHidden = 128;
constexpr int kClasses = 10;
constexpr int kClassesPadded = 16;

// Rows of the batch's feature matrix are one cache line longer than needed: 9216 floats are a
// multiple of the page size, and the same column of every row would share one L1 set.
constexpr int kFeatureStride = kFeatures + 16;

// Minimal filtering F(4x4, 3x3): 6 x 6 tiles of 4 x 4 outputs, each transformed to 6 x 6 positions.
constexpr int kTilesPerSide = 6;
constexpr int kTiles = kTilesPerSide * kTilesPerSide;
constexpr int kPositions = 36;
constexpr int kChoices = kTiles * kChannels2;  // words that remember the maxima, per image
constexpr int kPositionKernel = kChannels1 * kChannels2;
// One line of padding for the same reason as above.
constexpr int kPositionInput = kTiles * kChannels1 + 16;
constexpr int kPositionOutput = kTiles * kChannels2 + 16;

constexpr std::size_t kConv1Kernel = 0;
constexpr std::size_t kConv1Bias = kConv1Kernel + kTaps * kChannels1;
constexpr std::size_t kConv2Kernel = kConv1Bias + kChannels1;
constexpr std::size_t kConv2Bias = kConv2Kernel + kTaps * kChannels1 * kChannels2;
constexpr std::size_t kDense1Kernel = kConv2Bias + kChannels2;
constexpr std::size_t kDense1Bias = kDense1Kernel + std::size_t(kFeatures) * kHidden;
constexpr std::size_t kDense2Kernel = kDense1Bias + kHidden;
constexpr std::size_t kDense2Bias = kDense2Kernel + kHidden * kClasses;
constexpr std::size_t kParameters = kDense2Bias + kClasses;

// Rows of dense_1's kernel that one backward task computes and updates together.
constexpr int kFeatureBlock = 96;
constexpr int kFeatureBlocks = kFeatures / kFeatureBlock;

}  // namespace mnist_cnn
}  // namespace epochmark
