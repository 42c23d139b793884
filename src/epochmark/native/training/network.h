// The network, its optimizer state and one training step.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/aligned_array.h"
#include "kernels/kernels.h"
#include "runtime/thread_pool.h"

namespace epochmark {

struct AdamConstants {
    double learning_rate;
    double beta_1;
    double beta_2;
    double epsilon;
};

struct BatchResult {
    double loss_sum;  // cross-entropy summed over the images
    std::int64_t correct;
};

class Network {
  public:
    Network(const Kernels& kernels, int threads, int batch, const AdamConstants& constants);

    const Kernels& kernels() const { return kernels_; }
    int batch() const { return batch_; }

    // `from` and `to` have the layout of layout.h with dense_1's kernel as [9216][128].
    // Setting also resets the optimizer.
    void set_parameters(const float* from);
    void get_parameters(float* to) const;
    // The same of Adam's moments; returns the steps so far.
    std::int64_t get_moments(float* first, float* second) const;

    // Trains on images order[0] to order[count - 1], count <= batch().
    BatchResult train(const std::uint8_t* images, const std::uint8_t* labels,
                      const std::uint32_t* order, int count);
    // The same without the update; the mean loss's gradient goes to `gradient`.
    BatchResult gradients(const std::uint8_t* images, const std::uint8_t* labels,
                          const std::uint32_t* order, int count, float* gradient);
    // Forward only.
    BatchResult evaluate(const std::uint8_t* images, const std::uint8_t* labels,
                         const std::uint32_t* order, int count);

  private:
    struct Step;
    static void run_step(void* step, int thread);
    static void run_forward(void* step, int thread);

    void forward(const Step& step, int thread);
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
    void arrange(const float* from, float* to, bool to_panels) const;
    BatchResult collect(int parts) const;

    const Kernels& kernels_;
    const int batch_;
    const int dense_parts_;  // threads that have features
    const AdamConstants constants_;
    std::int64_t steps_ = 0;
    Parameters parameters_{};
    AlignedArray<float> parameter_data_;  // values, first moments, second moments
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
    ThreadPool pool_;
};

}  // namespace epochmark
