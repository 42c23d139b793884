// Fisher-Yates over SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014), with Lemire's rejection for an unbiased bounded draw ("Fast Random Integer
// Generation in an Interval", 2019). Our own so that no library's version can change the order.

#include "runtime/shuffle.h"

#include <utility>

namespace epochmark {

namespace {

std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

class SplitMix64 {
  public:
    explicit SplitMix64(std::uint64_t state) : state_(state) {}
    std::uint64_t next() { return mix(state_ += 0x9E3779B97F4A7C15u); }

    // Uniform in 0 .. bound - 1, bound < 2^32.
    std::uint32_t below(std::uint32_t bound) {
        const std::uint32_t rejected = (0u - bound) % bound;
        while (true) {
            const std::uint64_t product = (next() >> 32) * bound;
            if (std::uint32_t(product) >= rejected) return std::uint32_t(product >> 32);
        }
    }

  private:
    std::uint64_t state_;
};

}  // namespace

void shuffle(std::uint64_t seed, std::uint64_t epoch, std::uint32_t* order, std::int64_t count) {
    SplitMix64 random(mix(mix(seed) + epoch));
    for (std::int64_t i = 0; i < count; ++i) order[i] = std::uint32_t(i);
    for (std::int64_t i = count - 1; i > 0; --i)
        std::swap(order[i], order[random.below(std::uint32_t(i + 1))]);
}

}  // namespace epochmark
