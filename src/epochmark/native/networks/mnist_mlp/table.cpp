#include "networks/mnist_mlp/kernels.h"
#include "kernels/simd.h"

namespace epochmark {
namespace mnist_mlp {
namespace EPOCHMARK_ISA {

using namespace epochmark::EPOCHMARK_ISA;

void scale_pixels(const uint8_t*, float*);
#if EPOCHMARK_BFLOAT16
void round(const float*, int, void*);
#else
constexpr void (*round)(const float*, int, void*) = nullptr;
#endif
void pack(const float*, int64_t, int, int, int, void*);
void dense_1_forward(const void*, int, const float*, const float*, float*);
void dense_2_forward(const void*, int, const float*, const float*, float*);
void dense_2_backward(const BackwardBlock*);
void dense_1_backward(const BackwardBlock*);
void add_slopes(const float*, int64_t, int, int, int, const float*, float*);
void transpose_slope(const float*, int, void*);
void add_rows(const float*, int, float*);
void classify(const float*, const float*, const float*, int, float, float*, double*, int64_t*);
void dense_3_backward(const float*, const float*, int, const float*, float*, float*);

extern const Table table;
const Table table = {
    kTileRows,
    kPanel,
    scale_pixels,
    round,
    pack,
    dense_1_forward,
    dense_2_forward,
    dense_2_backward,
    dense_1_backward,
    add_slopes,
    transpose_slope,
    add_rows,
    classify,
    dense_3_backward,
};

}  // namespace EPOCHMARK_ISA
}  // namespace mnist_mlp
}  // namespace epochmark
