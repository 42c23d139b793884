// What every network has in common: parameters and their moments, the optimizer's steps, threads; and
// what a network says of itself. A network is a folder here, a line in registry.cpp and its table in
// kernels/kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/aligned_array.h"
#include "runtime/thread_pool.h"

namespace epochmark {

struct AdamConstants {
    double learning_rate;
    double beta_1;
    double beta_2;
    double epsilon;
};

// Samples order[0] to order[count - 1] of arrays laid out as the network's Offer says.
struct Batch {
    const void* inputs;
    const void* targets;
    const std::uint32_t* order;
    int count;
};

struct BatchResult {
    double loss_sum;  // cross-entropy summed over the targets
    std::int64_t correct;
};

// How a network is to be made.
struct Setup {
    const Kernels& kernels;
    int threads;
    int batch;  // most samples of a step
    AdamConstants adam;
    int context = 0;  // symbols of a sequence; 0: as many as the workload's
};

class Network {
  public:
    // The values, the first moments and the second moments lie `distance` floats apart: at least
    // `parameters`, best a multiple of a cache line's 16.
    Network(const Setup& setup, std::size_t parameters, std::size_t distance);
    virtual ~Network() = default;
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    const Kernels& kernels() const { return shared_; }

    // `from` and `to` hold the parameters as workloads do (api.h). Setting also resets the optimizer.
    void set_parameters(const float* from);
    void get_parameters(float* to) const;
    // The same of Adam's moments; returns the steps so far.
    std::int64_t get_moments(float* first, float* second) const;

    BatchResult train(const Batch& batch);
    // The same without the update; the mean loss's gradient goes to `gradient`. `stored` has room for
    // as many numbers, all zero.
    BatchResult gradients(const Batch& batch, float* gradient, float* stored);
    // Forward only.
    BatchResult evaluate(const Batch& batch);

  protected:
    // One step. With parameters.gradient the update is left out, and adam means nothing.
    struct Step {
        Batch batch;
        Parameters parameters;
        AdamStep adam;
    };

    // Called on every thread together; pool_.barrier() lets them meet.
    virtual void train_step(const Step& step, int thread) = 0;
    virtual void forward(const Step& step, int thread) = 0;
    // The sums of the step that has just ended.
    virtual BatchResult collect(const Step& step) const = 0;
    // From the workload's order of the parameters to that in which they are stored, or back.
    enum class Order { stored, plain };
    virtual void arrange(const float* from, float* to, Order order) const;
    // The parameters have been set; on the caller's thread.
    virtual void parameters_changed() {}

    // Threads that have samples where they are shared by samples.
    int parts(const Step& step) const;

    const Kernels& shared_;
    const int batch_;
    Parameters parameters_{};
    ThreadPool pool_;

  private:
    BatchResult run(Step& step, void (Network::*work)(const Step&, int));

    const AdamConstants constants_;
    const std::size_t count_, distance_;
    std::int64_t steps_ = 0;
    AlignedArray<float> data_;  // values, first moments, second moments
};

// A workload that the library trains, and what its arrays hold.
struct Offer {
    const char* workload;
    int kernel_version;  // raised with every change that can change a time or a result
    std::int64_t parameters;
    int inputs, input_bytes;  // items of a sample, unsigned integers of that many bytes
    int targets, target_bytes;
    int classes;  // targets are smaller; so are inputs that are symbols
    int largest_batch;
    bool bfloat16;  // is offered besides float32
    std::unique_ptr<Network> (*make)(const Setup& setup);
};

// All that there are.
const std::vector<Offer>& offers();

}  // namespace epochmark
