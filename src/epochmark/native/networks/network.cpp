#include "networks/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace epochmark {

Network::Network(const Setup& setup, std::size_t parameters, std::size_t distance)
    : shared_(setup.kernels),
      batch_(setup.batch),
      pool_(setup.threads),
      constants_(setup.adam),
      count_(parameters),
      distance_(distance),
      data_(3 * distance) {
    float* data = data_.get();
    parameters_ = {data, data + distance, data + 2 * distance, nullptr};
}

void Network::arrange(const float* from, float* to, Order) const {
    std::memcpy(to, from, count_ * sizeof(float));
}

void Network::set_parameters(const float* from) {
    arrange(from, parameters_.value, Order::stored);
    std::memset(parameters_.first_moment, 0, 2 * distance_ * sizeof(float));
    steps_ = 0;
    parameters_changed();
}

void Network::get_parameters(float* to) const { arrange(parameters_.value, to, Order::plain); }

std::int64_t Network::get_moments(float* first, float* second) const {
    arrange(parameters_.first_moment, first, Order::plain);
    arrange(parameters_.second_moment, second, Order::plain);
    return steps_;
}

BatchResult Network::train(const Batch& batch) {
    ++steps_;
    const AdamConstants& c = constants_;
    const double rate = c.learning_rate * std::sqrt(1.0 - std::pow(c.beta_2, double(steps_))) /
                        (1.0 - std::pow(c.beta_1, double(steps_)));
    Step step{batch, parameters_,
              {float(rate), float(1.0 - c.beta_1), float(1.0 - c.beta_2), float(c.epsilon)}};
    return run(step, &Network::train_step);
}

BatchResult Network::gradients(const Batch& batch, float* gradient, float* stored) {
    Step step{batch, parameters_, {}};
    step.parameters.gradient = stored;
    const BatchResult result = run(step, &Network::train_step);
    arrange(stored, gradient, Order::plain);
    return result;
}

BatchResult Network::evaluate(const Batch& batch) {
    Step step{batch, parameters_, {}};
    return run(step, &Network::forward);
}

BatchResult Network::run(Step& step, void (Network::*work)(const Step&, int)) {
    struct Task {
        Network* network;
        const Step* step;
        void (Network::*work)(const Step&, int);
    } task{this, &step, work};
    pool_.run(
        [](void* context, int thread) {
            const Task& task = *static_cast<Task*>(context);
            (task.network->*task.work)(*task.step, thread);
        },
        &task);
    return collect(step);
}

int Network::parts(const Step& step) const { return std::min(step.batch.count, pool_.size()); }

}  // namespace epochmark
