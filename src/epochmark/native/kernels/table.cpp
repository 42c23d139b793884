// The kernels of one instruction set.

#include "runtime/compiled.h"
#include "kernels/kernels.h"
#include "kernels/simd.h"

#define EPOCHMARK_TEXT_(name) #name
#define EPOCHMARK_TEXT(name) EPOCHMARK_TEXT_(name)

namespace epochmark {

namespace gpt {
namespace EPOCHMARK_ISA { extern const Table table; }
}
#if !EPOCHMARK_BFLOAT16
namespace mnist_cnn {
namespace EPOCHMARK_ISA { extern const Table table; }
}
#endif
namespace mnist_mlp {
namespace EPOCHMARK_ISA { extern const Table table; }
}

#if EPOCHMARK_BFLOAT16
double avx512_bf16_peak(int64_t);
#endif

namespace EPOCHMARK_ISA {

void adam(float*, float*, float*, const float*, int64_t, const AdamStep*);

#if EPOCHMARK_BFLOAT16

constexpr Precision kPrecision = Precision::bfloat16;
constexpr const mnist_cnn::Table* kMnistCnn = nullptr;
constexpr void (*product_pack)(const float*, int, int, float*) = nullptr;
constexpr void (*product_rows)(const float*, const float*, float*, float*) = nullptr;
constexpr double (*multiply_add_peak)(int64_t) = avx512_bf16_peak;

#else

constexpr Precision kPrecision = Precision::float32;
constexpr const mnist_cnn::Table* kMnistCnn = &mnist_cnn::EPOCHMARK_ISA::table;
void product_pack(const float*, int, int, float*);
void product_rows(const float*, const float*, float*, float*);
double multiply_add_peak(int64_t);

#endif

const Kernels& kernels() {
    static const Kernels table = {
        EPOCHMARK_TEXT(EPOCHMARK_ISA),
        kPrecision,
        EPOCHMARK_COMPILED,
        kPanel,
        adam,
        multiply_add_peak,
        product_pack,
        product_rows,
        &gpt::EPOCHMARK_ISA::table,
        kMnistCnn,
        &mnist_mlp::EPOCHMARK_ISA::table,
    };
    return table;
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
