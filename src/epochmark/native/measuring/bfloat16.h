// Which bfloat16 instructions this machine has, and what measures their peak.
#pragma once

#include <cstdint>
#include <vector>

namespace epochmark {

struct Bfloat16Peak {
    const char* name;
    double (*run)(std::int64_t rounds);  // on the calling thread; floating-point operations done
};

// Empty where there are none, or the compiler did not know them.
const std::vector<Bfloat16Peak>& available_bfloat16();

}  // namespace epochmark
