// The table of what every instruction set provides: the shared kernels, and a table of its own for
// each network.
#pragma once

#include <cstdint>

#include "kernels/adam.h"

namespace epochmark {

// The square matrices of product.cpp: rows, and those that one thread takes at a time.
constexpr int kProductSize = 1536;
constexpr int kProductRows = 48;

namespace gpt {
struct Table;
}
namespace mnist_cnn {
struct Table;
}
namespace mnist_mlp {
struct Table;
}

// What products multiply; they sum in float32.
enum class Precision { float32, bfloat16 };

struct Kernels {
    const char* name;
    Precision precision;
    const char* compiled;  // otherwise than released; see compiled.h
    int panel;  // columns of a weight matrix that lie together

    void (*adam)(float* value, float* first_moment, float* second_moment, const float* gradient,
                 std::int64_t count, const AdamStep* step);

    double (*multiply_add_peak)(std::int64_t rounds);  // what products can reach; operations done

    // Of float32 only: b [kProductSize][kProductSize] -> the given ones of its kProductSize / panel panels
    void (*product_pack)(const float* b, int panel_begin, int panel_end, float* panels);
    // kProductRows rows of c from those of a; tiles holds as many floats as those rows.
    void (*product_rows)(const float* a, const float* panels, float* tiles, float* c);

    const gpt::Table* gpt;
    const mnist_cnn::Table* mnist_cnn;  // of float32 only
    const mnist_mlp::Table* mnist_mlp;
};

namespace portable { const Kernels& kernels(); }
namespace avx2 { const Kernels& kernels(); }
namespace avx512 { const Kernels& kernels(); }
namespace avx512_bf16 { const Kernels& kernels(); }

}  // namespace epochmark
