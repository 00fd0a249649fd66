#include "thrift/address.h"

#include <charconv>

#include <fmt/format.h>

namespace troth::rpc {
namespace {

constexpr std::size_t kMaxHostLength = 255;

std::unexpected<Error> not_an_address(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone,
              fmt::format("'{}' is not an address: expected host:port with a port of 0 to 65535, e.g. "
                          "127.0.0.1:7420 or [::1]:7420",
                          text.substr(0, 80)));
}

}  // namespace

std::string Address::text() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<Address> Address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_an_address(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || host.size() > kMaxHostLength) return not_an_address(text);
  // Without brackets it would be a guess which colon begins the port.
  if (!bracketed && host.find_first_of(":[]") != std::string_view::npos) return not_an_address(text);
  std::uint16_t port = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || problem != std::errc{} || end != digits.data() + digits.size())
    return not_an_address(text);
  return Address{std::string(host), port};
}

Result<Address> Address::parse_local(std::string_view text) {
  return text.starts_with(':') ? parse(fmt::format("127.0.0.1{}", text)) : parse(text);
}

}  // namespace troth::rpc
