// The optimizer as kernels see it.
#pragma once

namespace epochmark {

// Adam with epsilon added before the bias correction (Kingma and Ba, end of section 2):
//   m += (g - m) * one_minus_beta_1;  v += (g * g - v) * one_minus_beta_2
//   w -= rate * m / (sqrt(v) + epsilon),  rate = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)
struct AdamStep {
    float rate;
    float one_minus_beta_1;
    float one_minus_beta_2;
    float epsilon;
};

// Parameters and their moments, all in the order in which a network stores them. When `gradient` is
// not null the gradient is stored there and nothing is updated (how tests see gradients).
struct Parameters {
    float* value;
    float* first_moment;
    float* second_moment;
    float* gradient;
};

}  // namespace epochmark
