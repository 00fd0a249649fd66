// Watches operator new in a test program, to see what a message makes the code allocate.
#pragma once

#include <cstddef>

namespace troth::rpc::test {

void forget_allocations();
// Bytes of the largest one since.
[[nodiscard]] std::size_t largest_allocation();

}  // namespace troth::rpc::test
