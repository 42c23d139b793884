// One training step of mnist-mlp: forward, loss, backward, Adam.
//
// Threads own columns of the kernels of dense_1 and dense_2, the same in every step, both ways; only
// gathering and the loss are shared by images. A thread's columns are updated as soon as their slopes are
// known, so that three barriers are all there is between the loss and the next step. What the threads sum
// by themselves, the gradient of dense_2's input, is added in their order: the result depends on the seed,
// the thread count and the instruction set only.

#include "networks/mnist_mlp/network.h"

#include <algorithm>
#include <cstring>

#include "runtime/share.h"

namespace epochmark {
namespace mnist_mlp {

namespace {

constexpr std::size_t kPackedPixels = kPixelStride, kPackedUnits = kUnitStride;

}  // namespace

MnistMlp::MnistMlp(const Setup& setup)
    : Network(setup, kParameters, (kParameters + 15) / 16 * 16),
      kernels_(*setup.kernels.mnist_mlp),
      column_parts_(std::min(setup.threads, kBlocks)),
      padded_(std::size_t(batch_ + kernels_.panel - 1) / kernels_.panel * kernels_.panel) {
    const std::size_t rows = std::size_t(batch_), threads = std::size_t(column_parts_);
    input_ = AlignedArray<float>(rows * kPixelStride);
    hidden_1_ = AlignedArray<float>(rows * kUnitStride);
    hidden_2_ = AlignedArray<float>(rows * kUnitStride);
    packed_input_ = AlignedArray<float>(rows * kPackedPixels);
    packed_hidden_1_ = AlignedArray<float>(rows * kPackedUnits);
    delta_ = AlignedArray<float>(rows * kClassesPadded);
    loss_ = AlignedArray<double>(rows);
    correct_ = AlignedArray<std::int64_t>(rows);
    input_gradients_ = AlignedArray<float>(threads * padded_ * kUnitStride);
    slopes_ = AlignedArray<float>(threads * padded_ * kColumns);
    slope_panels_ = AlignedArray<float>(threads * padded_ * kColumns);
    tiles_ = AlignedArray<float>(threads * kTileFloats);
    if (!kernels_.round) return;
    rounded_input_ = AlignedArray<float>(rows * kPixelStride / 2);
    rounded_hidden_1_ = AlignedArray<float>(rows * kUnitStride / 2);
    slope_factors_ = AlignedArray<float>(threads * padded_ * kColumns / 2);
}

namespace {

// A kernel [rows][kUnits] to its blocks of columns, or back.
void arrange_columns(const float* from, float* to, int rows, bool stored) {
    for (int block = 0; block < kBlocks; ++block)
        for (int row = 0; row < rows; ++row) {
            const std::size_t there = (std::size_t(block) * rows + row) * kColumns;
            const std::size_t plain = std::size_t(row) * kUnits + block * kColumns;
            std::memcpy(to + (stored ? there : plain), from + (stored ? plain : there),
                        kColumns * sizeof(float));
        }
}

}  // namespace

void MnistMlp::arrange(const float* from, float* to, Order order) const {
    Network::arrange(from, to, order);
    const bool stored = order == Order::stored;
    arrange_columns(from + kKernel1, to + kKernel1, kPixels, stored);
    arrange_columns(from + kKernel2, to + kKernel2, kUnits, stored);
    for (int unit = 0; unit < kUnits; ++unit)
        for (int c = 0; c < kClasses; ++c) {
            const std::size_t plain = kKernel3 + std::size_t(unit) * kClasses + c;
            const std::size_t transposed = kKernel3 + std::size_t(c) * kUnits + unit;
            to[stored ? transposed : plain] = from[stored ? plain : transposed];
        }
}

void MnistMlp::forward(const Step& step, int thread) {
    gather(step, thread);
    pool_.barrier();
    dense_1_forward(step, thread);
    pool_.barrier();
    dense_2_forward(step, thread);
    pool_.barrier();
    classify(step, thread);
}

void MnistMlp::train_step(const Step& step, int thread) {
    forward(step, thread);
    pack(input_, kPixelStride, step.batch.count, thread, packed_input_);
    pack(hidden_1_, kUnitStride, step.batch.count, thread, packed_hidden_1_);
    pool_.barrier();
    dense_2_backward(step, thread);
    pool_.barrier();
    dense_1_backward(step, thread);
}

void MnistMlp::gather(const Step& step, int thread) {
    const Range rows = share(step.batch.count, thread, pool_.size());
    const std::uint8_t* images = static_cast<const std::uint8_t*>(step.batch.inputs);
    for (int row = rows.begin; row < rows.end; ++row) {
        float* pixels = input_.get() + std::size_t(row) * kPixelStride;
        kernels_.scale_pixels(images + std::size_t(step.batch.order[row]) * kPixels, pixels);
        if (kernels_.round)
            kernels_.round(pixels, kPixelStride,
                           rounded_input_.get() + std::size_t(row) * kPixelStride / 2);
    }
}

// This thread's tiles of activations as the gradient of the kernel after them takes them.
void MnistMlp::pack(const AlignedArray<float>& features, int stride, int rows, int thread,
                    AlignedArray<float>& packed) {
    const int tiles = (stride - 16 + kernels_.tile_rows - 1) / kernels_.tile_rows;
    const Range own = share(tiles, thread, pool_.size());
    kernels_.pack(features.get(), stride, rows, own.begin, own.end, packed.get());
}

void MnistMlp::dense_1_forward(const Step& step, int thread) {
    const Range blocks = share(kBlocks, thread, column_parts_);
    for (int block = blocks.begin; thread < column_parts_ && block < blocks.end; ++block) {
        float* output = hidden_1_.get() + block * kColumns;
        kernels_.dense_1_forward(
            kernels_.round ? rounded_input_.get() : input_.get(), step.batch.count,
            parameters_.value + kKernel1 + std::size_t(block) * kPixels * kColumns,
            parameters_.value + kBias1 + block * kColumns, output);
        if (!kernels_.round) continue;
        for (int row = 0; row < step.batch.count; ++row)
            kernels_.round(output + std::size_t(row) * kUnitStride, kColumns,
                           rounded_hidden_1_.get() +
                               (std::size_t(row) * kUnitStride + block * kColumns) / 2);
    }
}

void MnistMlp::dense_2_forward(const Step& step, int thread) {
    const Range blocks = share(kBlocks, thread, column_parts_);
    for (int block = blocks.begin; thread < column_parts_ && block < blocks.end; ++block)
        kernels_.dense_2_forward(
            kernels_.round ? rounded_hidden_1_.get() : hidden_1_.get(), step.batch.count,
            parameters_.value + kKernel2 + std::size_t(block) * kUnits * kColumns,
            parameters_.value + kBias2 + block * kColumns, hidden_2_.get() + block * kColumns);
}

// dense_3, softmax and cross-entropy for this thread's images, and the gradient of their scores.
void MnistMlp::classify(const Step& step, int thread) {
    const Range rows = share(step.batch.count, thread, pool_.size());
    const std::uint8_t* labels = static_cast<const std::uint8_t*>(step.batch.targets);
    for (int row = rows.begin; row < rows.end; ++row)
        kernels_.classify(hidden_2_.get() + std::size_t(row) * kUnitStride,
                          parameters_.value + kKernel3, parameters_.value + kBias3,
                          labels[step.batch.order[row]], 1.0f / float(step.batch.count),
                          delta_.get() + std::size_t(row) * kClassesPadded, loss_.get() + row,
                          correct_.get() + row);
}

// What is the same in every block of a thread.
BackwardBlock MnistMlp::backward_block(const Step& step, int thread, std::size_t kernel) const {
    const std::size_t own = std::size_t(thread) * padded_;
    const Parameters& p = step.parameters;
    return {nullptr,
            step.batch.count,
            slopes_.get() + own * kColumns,
            kernels_.round ? slope_factors_.get() + own * kColumns / 2 : nullptr,
            slope_panels_.get() + own * kColumns,
            {p.value + kernel, p.first_moment + kernel, p.second_moment + kernel,
             p.gradient ? p.gradient + kernel : nullptr},
            &step.adam,
            tiles_.get() + std::size_t(thread) * kTileFloats,
            input_gradients_.get() + own * kUnitStride,
            false};
}

// dense_3's columns that belong to this block of dense_2, then the block itself.
void MnistMlp::dense_2_backward(const Step& step, int thread) {
    if (thread == 0) update_last_bias(step);
    if (thread >= column_parts_) return;
    const Range blocks = share(kBlocks, thread, column_parts_);
    for (int i = blocks.begin; i < blocks.end; ++i) {
        BackwardBlock block =
            backward_block(step, thread, kKernel2 + std::size_t(i) * kUnits * kColumns);
        block.packed = packed_hidden_1_.get();
        block.first = i == blocks.begin;
        dense_3_backward(step, thread, i);
        update_bias(step, thread, kBias2 + std::size_t(i) * kColumns);
        kernels_.transpose_slope(block.slope, block.rows,
                                 slope_panels_.get() + std::size_t(thread) * padded_ * kColumns);
        kernels_.dense_2_backward(&block);
    }
}

void MnistMlp::dense_3_backward(const Step& step, int thread, int block) {
    float gradient[kClasses * kColumns];
    const std::size_t kernel = kKernel3 + std::size_t(block) * kColumns;
    kernels_.dense_3_backward(delta_.get(), hidden_2_.get() + block * kColumns, step.batch.count,
                              parameters_.value + kernel, gradient,
                              slopes_.get() + std::size_t(thread) * padded_ * kColumns);
    for (int c = 0; c < kClasses; ++c)
        update(step, kernel + std::size_t(c) * kUnits, kColumns, gradient + c * kColumns);
}

void MnistMlp::dense_1_backward(const Step& step, int thread) {
    if (thread >= column_parts_) return;
    const Range blocks = share(kBlocks, thread, column_parts_);
    for (int i = blocks.begin; i < blocks.end; ++i) {
        BackwardBlock block =
            backward_block(step, thread, kKernel1 + std::size_t(i) * kPixels * kColumns);
        block.packed = packed_input_.get();
        kernels_.add_slopes(input_gradients_.get(), std::int64_t(padded_) * kUnitStride,
                            column_parts_, block.rows, i * kColumns, hidden_1_.get(),
                            slopes_.get() + std::size_t(thread) * padded_ * kColumns);
        update_bias(step, thread, kBias1 + std::size_t(i) * kColumns);
        kernels_.dense_1_backward(&block);
    }
}

// kColumns biases from the slopes of this thread's block.
void MnistMlp::update_bias(const Step& step, int thread, std::size_t offset) {
    float sum[kColumns];
    kernels_.add_rows(slopes_.get() + std::size_t(thread) * padded_ * kColumns, step.batch.count,
                      sum);
    update(step, offset, kColumns, sum);
}

void MnistMlp::update_last_bias(const Step& step) {
    float sum[kClasses] = {};
    for (int row = 0; row < step.batch.count; ++row)
        for (int c = 0; c < kClasses; ++c) sum[c] += delta_.get()[row * kClassesPadded + c];
    update(step, kBias3, kClasses, sum);
}

void MnistMlp::update(const Step& step, std::size_t offset, int count, const float* gradient) {
    const Parameters& p = step.parameters;
    if (p.gradient)
        std::memcpy(p.gradient + offset, gradient, std::size_t(count) * sizeof(float));
    else
        shared_.adam(p.value + offset, p.first_moment + offset, p.second_moment + offset, gradient,
                     count, &step.adam);
}

BatchResult MnistMlp::collect(const Step& step) const {
    BatchResult result{0.0, 0};
    for (int row = 0; row < step.batch.count; ++row) {
        result.loss_sum += loss_.get()[row];
        result.correct += correct_.get()[row];
    }
    return result;
}

Offer offer() {
    return {"mnist-mlp", 1, kParameters, kPixels, 1, 1, 1, kClasses, 65536, true,
            [](const Setup& setup) -> std::unique_ptr<Network> {
                return std::make_unique<MnistMlp>(setup);
            }};
}

}  // namespace mnist_mlp
}  // namespace epochmark
