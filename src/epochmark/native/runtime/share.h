// Work shared by threads in whole things.
#pragma once

#include <cstdint>

namespace epochmark {

struct Range {
    int begin, end;
};

// Part `index` of `count` things shared by `parts`.
inline Range share(int count, int index, int parts) {
    return {int(std::int64_t(count) * index / parts), int(std::int64_t(count) * (index + 1) / parts)};
}

}  // namespace epochmark
