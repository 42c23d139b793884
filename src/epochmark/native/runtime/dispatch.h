// Which instruction sets this machine can run.
#pragma once

#include <vector>

#include "kernels/kernels.h"

namespace epochmark {

// Best first; of float32 never empty.
std::vector<const Kernels*> available_kernels(Precision precision = Precision::float32);

// Why there are none of this precision: the processor, or what the library was compiled for. "" where
// there are.
const char* missing_for(Precision precision);

bool has_avx512_bf16();

}  // namespace epochmark
