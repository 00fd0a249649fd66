#include "coordinator/consensus/messages.h"

namespace troth::coordinator::consensus {

std::size_t size_of(const Message& message) {
  return std::visit(
      [](const auto& in) {
        std::size_t bytes = sizeof(in);
        if constexpr (requires { in.entries; }) {
          for (const auto& entry : in.entries)
            bytes += size_of(entry);
        } else if constexpr (requires { in.accepted; }) {
          for (const auto& accepted : in.accepted)
            bytes += size_of(accepted.entry);
        }
        return bytes;
      },
      message);
}

}  // namespace troth::coordinator::consensus
