#include "participant_agent/dialect/xid.h"

#include <charconv>

#include <fmt/format.h>

#include "participant_agent/dialect/literals.h"

namespace troth::agent {
namespace {

constexpr char kFormatVersion = '1';
constexpr std::string_view kGidPrefix = "troth1.";

// Decimal without sign or leading zero, from 1.
std::optional<BranchNumber> parse_branch(std::string_view text) {
  BranchNumber branch;
  if (text.empty() || text.front() == '0') return std::nullopt;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), branch.value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return branch;
}

std::optional<BranchId> make_branch(std::string_view transaction, std::string_view number) {
  auto id = TransactionId::parse(transaction);
  const auto branch = parse_branch(number);
  if (!id || !branch) return std::nullopt;
  return BranchId{std::move(*id), *branch};
}

std::optional<std::string> octets_of_hexadecimal(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string octets;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    std::uint8_t octet = 0;
    const auto* from = digits.data() + i;
    const auto [end, problem] = std::from_chars(from, from + 2, octet, 16);
    if (problem != std::errc{} || end != from + 2) return std::nullopt;
    octets += static_cast<char>(octet);
  }
  return octets;
}

template <typename T>
bool parse_whole(std::string_view text, T& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size();
}

// Cuts `X'<digits>'` or `'<text>'` off the front.
std::optional<std::string> next_literal(std::string_view& rest) {
  const bool is_hexadecimal = rest.starts_with("X'") || rest.starts_with("x'");
  if (is_hexadecimal) rest.remove_prefix(1);
  if (!rest.starts_with('\'')) return std::nullopt;
  const auto end = rest.find('\'', 1);
  if (end == std::string_view::npos) return std::nullopt;
  const auto content = rest.substr(1, end - 1);
  rest.remove_prefix(end + 1);
  return is_hexadecimal ? octets_of_hexadecimal(content) : std::string(content);
}

}  // namespace

XaXid xa_xid_of(const BranchId& branch) {
  return {kXaFormatId, kFormatVersion + branch.transaction.text(), fmt::format("{}", branch.branch.value)};
}

std::optional<BranchId> branch_of(const XaXid& xid) {
  if (xid.format_id != kXaFormatId || !xid.gtrid.starts_with(kFormatVersion)) return std::nullopt;
  return make_branch(std::string_view(xid.gtrid).substr(1), xid.bqual);
}

std::string postgres_gid_of(const BranchId& branch) {
  return fmt::format("{}{}.{}", kGidPrefix, branch.transaction.text(), branch.branch.value);
}

std::optional<BranchId> branch_of_postgres_gid(std::string_view gid) {
  if (!gid.starts_with(kGidPrefix)) return std::nullopt;
  gid.remove_prefix(kGidPrefix.size());
  const auto dot = gid.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  return make_branch(gid.substr(0, dot), gid.substr(dot + 1));
}

std::string xa_literal(const XaXid& xid) {
  return fmt::format("X'{}',X'{}',{}", hexadecimal(xid.gtrid), hexadecimal(xid.bqual), xid.format_id);
}

std::optional<XaXid> parse_mysql_recover(std::string_view format_id, std::string_view gtrid_length,
                                         std::string_view bqual_length, std::string_view data) {
  XaXid xid;
  std::size_t gtrid_size = 0;
  std::size_t bqual_size = 0;
  if (!parse_whole(format_id, xid.format_id) || !parse_whole(gtrid_length, gtrid_size) ||
      !parse_whole(bqual_length, bqual_size) || !data.starts_with("0x")) {
    return std::nullopt;
  }
  const auto octets = octets_of_hexadecimal(data.substr(2));
  if (!octets || gtrid_size > octets->size() || octets->size() - gtrid_size != bqual_size)
    return std::nullopt;
  xid.gtrid = octets->substr(0, gtrid_size);
  xid.bqual = octets->substr(gtrid_size);
  return xid;
}

std::optional<XaXid> parse_mariadb_recover(std::string_view sql) {
  XaXid xid;
  auto gtrid = next_literal(sql);
  if (!gtrid || !sql.starts_with(',')) return std::nullopt;
  sql.remove_prefix(1);
  auto bqual = next_literal(sql);
  if (!bqual || !sql.starts_with(',')) return std::nullopt;
  sql.remove_prefix(1);
  if (!parse_whole(sql, xid.format_id)) return std::nullopt;
  xid.gtrid = std::move(*gtrid);
  xid.bqual = std::move(*bqual);
  return xid;
}

}  // namespace troth::agent
