// mnist-mlp: its state and one training step.
#pragma once

#include <cstdint>

#include "networks/mnist_mlp/kernels.h"
#include "networks/network.h"

namespace epochmark {
namespace mnist_mlp {

class MnistMlp : public Network {
  public:
    explicit MnistMlp(const Setup& setup);

  private:
    void train_step(const Step& step, int thread) override;
    void forward(const Step& step, int thread) override;
    BatchResult collect(const Step& step) const override;
    void arrange(const float* from, float* to, Order order) const override;

    void gather(const Step& step, int thread);
    void pack(const AlignedArray<float>& features, int stride, int rows, int thread,
              AlignedArray<float>& packed);
    void dense_1_forward(const Step& step, int thread);
    void dense_2_forward(const Step& step, int thread);
    void classify(const Step& step, int thread);
    void dense_2_backward(const Step& step, int thread);
    void dense_1_backward(const Step& step, int thread);
    void dense_3_backward(const Step& step, int thread, int block);
    BackwardBlock backward_block(const Step& step, int thread, std::size_t kernel) const;
    void update_bias(const Step& step, int thread, std::size_t offset);
    void update_last_bias(const Step& step);
    void update(const Step& step, std::size_t offset, int count, const float* gradient);

    const Table& kernels_;
    const int column_parts_;  // threads that have columns
    const std::size_t padded_;  // samples of a batch in whole panels
    AlignedArray<float> input_;                  // [batch][kPixelStride]
    AlignedArray<float> hidden_1_, hidden_2_;    // [batch][kUnitStride]
    AlignedArray<float> rounded_input_, rounded_hidden_1_;  // half as long; where products do not take floats
    AlignedArray<float> packed_input_, packed_hidden_1_;  // [tile][rows][tile_rows]
    AlignedArray<float> delta_;                  // [batch][kClassesPadded]
    AlignedArray<double> loss_;                  // of each sample
    AlignedArray<std::int64_t> correct_;
    AlignedArray<float> input_gradients_;  // of dense_2, per thread [panel][kUnitStride][panel]
    AlignedArray<float> slopes_;           // per thread [padded batch][kColumns]
    AlignedArray<float> slope_panels_;     // the same transposed
    AlignedArray<float> slope_factors_;    // the same where products do not take floats
    AlignedArray<float> tiles_;            // per thread
};

Offer offer();

}  // namespace mnist_mlp
}  // namespace epochmark
