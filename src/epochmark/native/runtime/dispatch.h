// Which instruction sets this machine can run.
#pragma once

#include <vector>

#include "kernels/kernels.h"

namespace epochmark {

// Best first; never empty.
std::vector<const Kernels*> available_kernels();

}  // namespace epochmark
