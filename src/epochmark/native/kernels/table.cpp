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
namespace mnist_cnn {
namespace EPOCHMARK_ISA { extern const Table table; }
}
namespace mnist_mlp {
namespace EPOCHMARK_ISA { extern const Table table; }
}

namespace EPOCHMARK_ISA {

void adam(float*, float*, float*, const float*, int64_t, const AdamStep*);
double multiply_add_peak(int64_t);
void product_pack(const float*, int, int, float*);
void product_rows(const float*, const float*, float*, float*);

const Kernels& kernels() {
    static const Kernels table = {
        EPOCHMARK_TEXT(EPOCHMARK_ISA),
        EPOCHMARK_COMPILED,
        kPanel,
        adam,
        multiply_add_peak,
        product_pack,
        product_rows,
        &gpt::EPOCHMARK_ISA::table,
        &mnist_cnn::EPOCHMARK_ISA::table,
        &mnist_mlp::EPOCHMARK_ISA::table,
    };
    return table;
}

}  // namespace EPOCHMARK_ISA
}  // namespace epochmark
