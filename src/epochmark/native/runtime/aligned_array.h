// A zeroed array that starts on a cache line, in large pages where the system has them: a step walks
// through 20 MB, more than the translation buffers cover in pages of 4 kB.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace epochmark {

template <typename T>
class AlignedArray {
  public:
    AlignedArray() = default;
    // Throws std::bad_alloc.
    explicit AlignedArray(std::size_t count) {
        const std::size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
        void* memory = nullptr;
        const bool large = bytes >= kLargePage / 2;
        if (posix_memalign(&memory, large ? kLargePage : 64, bytes) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (large) madvise(memory, bytes, MADV_HUGEPAGE);  // advice: failing does no harm
#endif
        std::memset(memory, 0, bytes);
        data_.reset(static_cast<T*>(memory));
    }
    T* get() const { return data_.get(); }

  private:
    static constexpr std::size_t kLargePage = std::size_t(2) << 20;

    struct Free {
        void operator()(T* data) const { std::free(data); }
    };
    std::unique_ptr<T[], Free> data_;
};

}  // namespace epochmark
