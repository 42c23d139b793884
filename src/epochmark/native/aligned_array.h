// A zeroed array that starts on a cache line.
#pragma once

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
        if (posix_memalign(&memory, 64, bytes) != 0) throw std::bad_alloc();
        std::memset(memory, 0, bytes);
        data_.reset(static_cast<T*>(memory));
    }
    T* get() const { return data_.get(); }

  private:
    struct Free {
        void operator()(T* data) const { std::free(data); }
    };
    std::unique_ptr<T[], Free> data_;
};

}  // namespace epochmark
