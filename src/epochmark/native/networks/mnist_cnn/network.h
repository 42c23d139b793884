// mnist-cnn: its state and one training step.
#pragma once

#include <cstdint>
#include <vector>

#include "networks/mnist_cnn/kernels.h"
#include "networks/network.h"

namespace epochmark {
namespace mnist_cnn {

class MnistCnn : public Network {
  public:
    explicit MnistCnn(const Setup& setup);

  private:
    void train_step(const Step& step, int thread) override;
    void forward(const Step& step, int thread) override;
    BatchResult collect(const Step& step) const override;
    void arrange(const float* from, float* to, Order order) const override;
    void parameters_changed() override;

    void convolution_1(const Step& step, int row, ThreadScratch& scratch) const;
    void convolution_forward(const Step& step, int thread);
    void dense_forward(const Step& step, int thread);
    void classify(const Step& step, int thread);
    void sum_hidden(int row, float* hidden) const;
    float* partial_hidden(int part) const;
    void dense_backward(const Step& step, int thread);
    void convolution_backward(const Step& step, int thread);
    void update_small_dense(const Step& step);
    void update_convolutions(const Step& step, int thread);
    void update(const Step& step, std::size_t offset, std::size_t count, const float* gradient);
    void transform_kernel(int thread);

    const Table& kernels_;
    const int dense_parts_;  // threads that have features
    AlignedArray<TransformedKernel> kernel_2_;
    AlignedArray<float> kernel_2_gradient_;
    AlignedArray<float> features_;  // [batch][kFeatureStride]; backward: their gradients
    AlignedArray<std::uint32_t> choices_;  // [batch][kChoices]
    AlignedArray<float> partial_hidden_;  // per thread [batch][128], sums over its features
    AlignedArray<float> hidden_gradient_;
    AlignedArray<float> hidden_gradient_panels_;
    AlignedArray<float> packed_features_;  // per thread [batch][kFeatureBlock]
    AlignedArray<ThreadScratch> scratch_;
    std::vector<const ThreadScratch*> parts_;
};

Offer offer();

}  // namespace mnist_cnn
}  // namespace epochmark
