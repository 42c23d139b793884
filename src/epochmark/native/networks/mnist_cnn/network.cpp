// One training step, as a user of a framework would write it: forward, loss, backward, Adam.
//
// Work is shared by images in the convolutions and the loss, and by features in dense_1. What the
// threads sum by themselves is added in the order of the threads, so the result depends on the
// seed, the thread count and the instruction set only.

#include "networks/mnist_cnn/network.h"

#include <algorithm>
#include <cstring>

#include "runtime/share.h"

namespace epochmark {
namespace mnist_cnn {

MnistCnn::MnistCnn(const Setup& setup)
    : Network(setup, kParameters, kParameters),
      kernels_(*setup.kernels.mnist_cnn),
      dense_parts_(std::min(setup.threads, kFeatureBlocks)) {
    kernel_2_ = decltype(kernel_2_)(1);
    kernel_2_gradient_ = decltype(kernel_2_gradient_)(kTaps * kPositionKernel);
    const std::size_t rows = std::size_t(batch_), threads = std::size_t(pool_.size());
    features_ = decltype(features_)(rows * kFeatureStride);
    choices_ = decltype(choices_)(rows * kChoices);
    partial_hidden_ = decltype(partial_hidden_)(rows * kHidden * std::size_t(dense_parts_));
    hidden_gradient_ = decltype(hidden_gradient_)(rows * kHidden);
    hidden_gradient_panels_ = decltype(hidden_gradient_panels_)(rows * kHidden);
    packed_features_ = decltype(packed_features_)(rows * kFeatureBlock * std::size_t(dense_parts_));
    scratch_ = decltype(scratch_)(threads);
    for (std::size_t i = 0; i < threads; ++i) parts_.push_back(scratch_.get() + i);
}

// dense_1's kernel is stored in panels (dense_1.cpp).
void MnistCnn::arrange(const float* from, float* to, Order order) const {
    Network::arrange(from, to, order);
    const int panel = shared_.panel;
    for (int unit = 0; unit < kHidden; ++unit) {
        for (int feature = 0; feature < kFeatures; ++feature) {
            const std::size_t plain = kDense1Kernel + std::size_t(feature) * kHidden + unit;
            const std::size_t paneled =
                kDense1Kernel + (std::size_t(unit / panel) * kFeatures + feature) * panel + unit % panel;
            if (order == Order::stored)
                to[paneled] = from[plain];
            else
                to[plain] = from[paneled];
        }
    }
}

void MnistCnn::transform_kernel(int thread) {
    const Range groups = share(kChannels1 / kChannelGroup, thread, pool_.size());
    kernels_.conv_2_transform_kernel(parameters_.value + kConv2Kernel, groups.begin * kChannelGroup,
                                     groups.end * kChannelGroup, kernel_2_.get());
}

void MnistCnn::parameters_changed() {
    for (int thread = 0; thread < pool_.size(); ++thread) transform_kernel(thread);
}

void MnistCnn::forward(const Step& step, int thread) {
    convolution_forward(step, thread);
    pool_.barrier();
    dense_forward(step, thread);
    pool_.barrier();
    classify(step, thread);
}

// The output of conv_1 for one image.
void MnistCnn::convolution_1(const Step& step, int row, ThreadScratch& scratch) const {
    const float* value = parameters_.value;
    kernels_.scale_pixels(static_cast<const std::uint8_t*>(step.batch.inputs) + std::size_t(step.batch.order[row]) * kPixels, scratch.pixels);
    kernels_.conv_1_forward(scratch.pixels, value + kConv1Kernel, value + kConv1Bias,
                            scratch.activation_1);
}

// conv_1, conv_2 and pooling for this thread's images. conv_1 is one image ahead.
void MnistCnn::convolution_forward(const Step& step, int thread) {
    if (thread >= parts(step)) return;
    const Range rows = share(step.batch.count, thread, parts(step));
    ThreadScratch& scratch = scratch_.get()[thread];
    convolution_1(step, rows.begin, scratch);
    kernels_.conv_2_begin(rows.begin & 1, &scratch);
    for (int row = rows.begin; row < rows.end; ++row) {
        const bool next = row + 1 < rows.end;
        if (next) convolution_1(step, row + 1, scratch);
        kernels_.conv_2_forward(kernel_2_.get(), parameters_.value + kConv2Bias, row & 1, next,
                                &scratch, features_.get() + std::size_t(row) * kFeatureStride,
                                choices_.get() + std::size_t(row) * kChoices);
    }
}

float* MnistCnn::partial_hidden(int part) const {
    return partial_hidden_.get() + std::size_t(part) * batch_ * kHidden;
}

// dense_1 for this thread's features and all images.
void MnistCnn::dense_forward(const Step& step, int thread) {
    if (thread >= dense_parts_) return;
    const Range blocks = share(kFeatureBlocks, thread, dense_parts_);
    kernels_.dense_1_forward(features_.get(), step.batch.count, blocks.begin * kFeatureBlock,
                             blocks.end * kFeatureBlock, parameters_.value + kDense1Kernel,
                             partial_hidden(thread));
}

// The output of dense_1 for one image: its partial sums in the order of the threads, bias, relu
// (which leaves NaN alone: a diverged run must be seen).
void MnistCnn::sum_hidden(int row, float* hidden) const {
    const std::size_t offset = std::size_t(row) * kHidden;
    std::memcpy(hidden, partial_hidden(0) + offset, kHidden * sizeof(float));
    for (int part = 1; part < dense_parts_; ++part)
        for (int unit = 0; unit < kHidden; ++unit) hidden[unit] += partial_hidden(part)[offset + unit];
    for (int unit = 0; unit < kHidden; ++unit) {
        hidden[unit] += parameters_.value[kDense1Bias + unit];
        if (hidden[unit] < 0.0f) hidden[unit] = 0.0f;
    }
}

// For this thread's images: the output of dense_1, then dense_2, softmax and cross-entropy, and
// their gradients down to the output of dense_1.
void MnistCnn::classify(const Step& step, int thread) {
    if (thread >= parts(step)) return;
    const Range rows = share(step.batch.count, thread, parts(step));
    ThreadScratch& scratch = scratch_.get()[thread];
    const float* value = parameters_.value;
    const std::uint8_t* labels = static_cast<const std::uint8_t*>(step.batch.targets);
    kernels_.dense_2_begin(value + kDense2Kernel, &scratch);
    for (int row = rows.begin; row < rows.end; ++row) {
        float hidden[kHidden];
        sum_hidden(row, hidden);
        kernels_.dense_2(hidden, value + kDense2Bias, labels[step.batch.order[row]],
                         1.0f / float(step.batch.count), hidden_gradient_.get() + std::size_t(row) * kHidden,
                         hidden_gradient_panels_.get() + std::size_t(row) * shared_.panel,
                         std::int64_t(step.batch.count) * shared_.panel, &scratch);
    }
}

void MnistCnn::dense_backward(const Step& step, int thread) {
    if (thread >= dense_parts_) return;
    const Range blocks = share(kFeatureBlocks, thread, dense_parts_);
    for (int block = blocks.begin; block < blocks.end; ++block)
        kernels_.dense_1_backward(
            features_.get(), step.batch.count, block * kFeatureBlock, hidden_gradient_.get(),
            hidden_gradient_panels_.get(),
            packed_features_.get() + std::size_t(thread) * batch_ * kFeatureBlock, &step.parameters,
            &step.adam, &scratch_.get()[thread]);
}

// conv_1 is computed again: cheaper than keeping its output for the whole batch.
void MnistCnn::convolution_backward(const Step& step, int thread) {
    if (thread >= parts(step)) return;
    const Range rows = share(step.batch.count, thread, parts(step));
    ThreadScratch& scratch = scratch_.get()[thread];
    std::memset(scratch.bias_2_gradient, 0, sizeof scratch.bias_2_gradient);
    std::memset(scratch.kernel_1_gradient, 0, sizeof scratch.kernel_1_gradient);
    std::memset(scratch.bias_1_gradient, 0, sizeof scratch.bias_1_gradient);
    for (int row = rows.begin; row < rows.end; ++row) {
        convolution_1(step, row, scratch);
        kernels_.conv_2_backward(kernel_2_.get(), features_.get() + std::size_t(row) * kFeatureStride,
                                 choices_.get() + std::size_t(row) * kChoices, row == rows.begin,
                                 &scratch);
        kernels_.conv_1_backward(scratch.pixels, scratch.activation_1, scratch.gradient_1,
                                 scratch.kernel_1_gradient, scratch.bias_1_gradient);
    }
}

void MnistCnn::update(const Step& step, std::size_t offset, std::size_t count, const float* gradient) {
    const Parameters& p = step.parameters;
    if (p.gradient)
        std::memcpy(p.gradient + offset, gradient, count * sizeof(float));
    else
        shared_.adam(p.value + offset, p.first_moment + offset, p.second_moment + offset, gradient,
                      std::int64_t(count), &step.adam);
}

namespace {

// Sum of one small array over the threads, in their order.
template <std::size_t kCount>
void add_parts(const std::vector<const ThreadScratch*>& threads, int parts,
               float (ThreadScratch::*member)[kCount], float* sum) {
    std::memcpy(sum, threads[0]->*member, kCount * sizeof(float));
    for (int part = 1; part < parts; ++part)
        for (std::size_t i = 0; i < kCount; ++i) sum[i] += (threads[part]->*member)[i];
}

}  // namespace

void MnistCnn::update_small_dense(const Step& step) {
    float sum[kHidden * kClassesPadded];
    add_parts(parts_, parts(step), &ThreadScratch::dense_1_bias_gradient, sum);
    update(step, kDense1Bias, kHidden, sum);
    add_parts(parts_, parts(step), &ThreadScratch::dense_2_gradient, sum);
    for (int unit = 1; unit < kHidden; ++unit)  // without the padding
        std::memmove(sum + unit * kClasses, sum + unit * kClassesPadded, kClasses * sizeof(float));
    update(step, kDense2Kernel, kHidden * kClasses, sum);
    add_parts(parts_, parts(step), &ThreadScratch::dense_2_bias_gradient, sum);
    update(step, kDense2Bias, kClasses, sum);
}

void MnistCnn::update_convolutions(const Step& step, int thread) {
    const Range channels = share(kChannels1, thread, pool_.size());
    if (channels.begin < channels.end) {
        float* gradient = kernel_2_gradient_.get();
        kernels_.conv_2_reduce_gradient(parts_.data(), parts(step), channels.begin, channels.end,
                                        gradient);
        for (int tap = 0; tap < kTaps; ++tap) {
            const std::size_t begin = std::size_t(tap * kChannels1 + channels.begin) * kChannels2;
            update(step, kConv2Kernel + begin,
                   std::size_t(channels.end - channels.begin) * kChannels2, gradient + begin);
        }
    }
    if (thread != 0) return;
    float sum[kTaps * kChannels1];
    add_parts(parts_, parts(step), &ThreadScratch::bias_2_gradient, sum);
    update(step, kConv2Bias, kChannels2, sum);
    add_parts(parts_, parts(step), &ThreadScratch::kernel_1_gradient, sum);
    update(step, kConv1Kernel, kTaps * kChannels1, sum);
    add_parts(parts_, parts(step), &ThreadScratch::bias_1_gradient, sum);
    update(step, kConv1Bias, kChannels1, sum);
}

void MnistCnn::train_step(const Step& step, int thread) {
    forward(step, thread);
    pool_.barrier();
    dense_backward(step, thread);
    if (thread == 0) update_small_dense(step);
    pool_.barrier();
    convolution_backward(step, thread);
    pool_.barrier();
    update_convolutions(step, thread);
    pool_.barrier();
    transform_kernel(thread);
}

BatchResult MnistCnn::collect(const Step& step) const {
    BatchResult result{0.0, 0};
    for (int part = 0; part < parts(step); ++part) {
        result.loss_sum += parts_[part]->loss_sum;
        result.correct += parts_[part]->correct;
    }
    return result;
}

Offer offer() {
    return {"mnist-cnn", 1, kParameters, kPixels, 1, 1, 1, kClasses, 65536, false,
            [](const Setup& setup) -> std::unique_ptr<Network> {
                return std::make_unique<MnistCnn>(setup);
            }};
}

}  // namespace mnist_cnn
}  // namespace epochmark
