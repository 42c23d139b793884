#include "networks/mnist_cnn/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace mnist_cnn {
namespace EPOCHMARK_ISA {

void scale_pixels(const uint8_t*, float*);
void conv_1_forward(const float*, const float*, const float*, float*);
void conv_1_backward(const float*, const float*, const float*, float*, float*);
void conv_2_transform_kernel(const float*, int, int, TransformedKernel*);
void conv_2_begin(int, ThreadScratch*);
void conv_2_forward(const TransformedKernel*, const float*, int, bool, ThreadScratch*, float*,
                    uint32_t*);
void conv_2_backward(const TransformedKernel*, const float*, const uint32_t*, bool, ThreadScratch*);
void conv_2_reduce_gradient(const ThreadScratch* const*, int, int, int, float*);
void dense_1_forward(const float*, int, int, int, const float*, float*);
void dense_1_backward(float*, int, int, const float*, const float*, float*, const Parameters*,
                      const AdamStep*, ThreadScratch*);
void dense_2_begin(const float*, ThreadScratch*);
void dense_2(const float*, const float*, int, float, float*, float*, int64_t, ThreadScratch*);

extern const Table table;
const Table table = {
    scale_pixels,
    conv_1_forward,
    conv_1_backward,
    conv_2_transform_kernel,
    conv_2_begin,
    conv_2_forward,
    conv_2_backward,
    conv_2_reduce_gradient,
    dense_1_forward,
    dense_1_backward,
    dense_2_begin,
    dense_2,
};

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_cnn
}  // namespace epochmark
