// The order of the training samples in one epoch.
#pragma once

#include <cstdint>

namespace epochmark {

// A uniformly random permutation of 0 .. count - 1, a function of seed and epoch alone.
void shuffle(std::uint64_t seed, std::uint64_t epoch, std::uint32_t* order, std::int64_t count);

}  // namespace epochmark
