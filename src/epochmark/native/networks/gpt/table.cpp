// What an update needs besides Adam, and the table of this instruction set.

#include "kernels/transpose.h"
#include "networks/gpt/products.h"

namespace epochmark {
namespace gpt {
namespace EPOCHMARK_ISA {

void embed(const uint8_t*, int, int, Panels, Panels, Panels);
void embed_backward(const uint8_t*, int, int, Panels, Panels, Panels);
void normalise(int, int, Panels, const Norm*, Panels);
void normalise_again(int, int, const Norm*, Panels);
void normalise_backward(int, int, Panels, const Norm*, Panels, float*, float*);
int64_t attention_scratch(int, int, int);
void attend(const Attention*);
void attend_backward(const Attention*, Panels, Panels);
void feed_forward(const FeedForward*, Panels);
void feed_forward_backward(const FeedForward*, Panels, Panels, const FeedForwardGradient*);
Scored score(int, int, Panels, const uint8_t*, float);

namespace {

void sum(const float* const* gradients, int parts, int64_t offset, int count, float* total) {
    for (int i = 0; i < count; i += kLanes) {
        Vec value = load(gradients[0] + offset + i);
        for (int part = 1; part < parts; ++part) value += load(gradients[part] + offset + i);
        store(total + i, value);
    }
}

void transpose_square(const float* from, float* to) {
    transpose_matrix(kPanel, kPanel, {const_cast<float*>(from), 0}, {to, 0});
}

}  // namespace

extern const Table table;
const Table table = {
    multiply,        multiply_transposed, embed,    embed_backward,  normalise,
    normalise_again, normalise_backward,  attention_scratch, attend, attend_backward,
    feed_forward,    feed_forward_backward, score,  sum,             transpose_square,
};

}  // namespace EPOCHMARK_ISA
}  // namespace gpt
}  // namespace epochmark
