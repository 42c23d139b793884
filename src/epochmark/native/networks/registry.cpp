// The workloads that the library trains: one line for each folder beside this file.

#include "networks/gpt/network.h"
#include "networks/mnist_cnn/network.h"
#include "networks/mnist_mlp/network.h"
#include "networks/network.h"

namespace epochmark {

const std::vector<Offer>& offers() {
    static const std::vector<Offer> all = {
        mnist_cnn::offer(),
        mnist_mlp::offer(),
        gpt::offer(),
        gpt::large_offer(),
    };
    return all;
}

}  // namespace epochmark
