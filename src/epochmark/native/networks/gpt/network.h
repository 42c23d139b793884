// A GPT: its state and one training step.
#pragma once

#include <cstdint>
#include <vector>

#include "networks/gpt/kernels.h"
#include "networks/gpt/layout.h"
#include "networks/network.h"

namespace epochmark {
namespace gpt {

class Gpt : public Network {
  public:
    // Of sequences shorter than `sizes` says where the setup says so.
    Gpt(const Setup& setup, const Sizes& sizes);

  private:
    Gpt(const Setup& setup, const Sizes& sizes, const Layout& layout);

    // What forward leaves for backward, of a thread's chunk.
    struct Kept {
        Panels normalised_1, joined, attended, normalised_2, before;
        float *deviation_1, *softmax, *deviation_2;
    };

    // A thread's own: the activations of a chunk, and its share of the gradients.
    struct Worker {
        AlignedArray<float> memory;
        Panels values, result, gradient, result_gradient, joined_gradient, scores, normalised;
        float *deviation, *attention_scratch, *feed_forward_scratch, *gradients;
        std::vector<Kept> kept;
        Scored scored{};
    };

    // Some sequences that a thread takes through all layers together.
    struct Chunk {
        const Step& step;
        Worker& worker;
        int begin, sequences, rows;
        Into into;  // the thread's gradients
    };

    void train_step(const Step& step, int thread) override;
    void forward(const Step& step, int thread) override;
    BatchResult collect(const Step& step) const override;
    void arrange(const float* from, float* to, Order order) const override;
    void parameters_changed() override;

    template <typename Work>
    void for_chunks(const Step& step, int thread, Work work);
    void make_worker(Worker& worker) const;
    void clear_small_gradients(Worker& worker) const;
    const std::uint8_t* symbols(const Chunk& chunk, int sequence) const;

    void forward_layers(const Chunk& chunk) const;
    void forward_block(const Chunk& chunk, int number) const;
    void score(const Chunk& chunk, bool backward) const;
    void backward_layers(const Chunk& chunk) const;
    void backward_feed_forward(const Chunk& chunk, int number) const;
    void backward_attention(const Chunk& chunk, int number) const;
    void update(const Step& step, int thread);
    void update_matrix(const Step& step, int thread, const Tensor& tensor);
    void update_some(const Step& step, std::size_t offset, int count);

    Panels of(const Tensor& tensor, float* base) const;
    Panels weights(const Tensor& tensor) const { return of(tensor, parameters_.value); }
    Panels transposed(const Tensor& tensor) const;
    const float* vector(const Tensor& tensor) const { return parameters_.value + tensor.offset; }
    Norm norm(const Tensor& scale, const Tensor& bias, Panels normalised, float* deviation) const;
    Attention attention(const Worker& worker, const Kept& kept, int sequence) const;
    FeedForward feed_forward(const Chunk& chunk, int number) const;

    const Table& kernels_;
    const Sizes sizes_;
    const Layout layout_;
    const int chunk_;  // sequences
    AlignedArray<float> transposed_;
    std::vector<Worker> workers_;
    std::vector<const float*> gradients_;  // of the workers
};

Offer offer();        // gpt-3m
Offer large_offer();  // gpt-124m

}  // namespace gpt
}  // namespace epochmark
