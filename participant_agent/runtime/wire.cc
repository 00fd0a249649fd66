#include "participant_agent/runtime/wire.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "thrift/runtime/wire_error.h"

namespace troth::agent {
namespace {

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, Effect::kNone, std::move(message));
}

// ---- values

// Its elements may be arrays, further dimensions (check_value looks at their shape).
constexpr int kDeepestArray = kMaxArrayDimensions;

Result<Value> value_of(const wire::Value& value, int depth);

Result<Array> array_of(const std::vector<wire::Value>& elements, int depth) {
  if (depth >= kDeepestArray)
    return refuse(fmt::format("an array has more than {} dimensions", kDeepestArray));
  if (elements.size() > kMaxArrayElements) {
    return refuse(
        fmt::format("an array has {} elements, at most {} are taken", elements.size(), kMaxArrayElements));
  }
  Array array;
  array.elements.reserve(elements.size());
  for (const auto& element : elements) {
    auto read = value_of(element, depth + 1);
    if (!read) return std::unexpected(std::move(read.error()));
    array.elements.push_back(*std::move(read));
  }
  return array;
}

Result<Value> value_of(const wire::Value& value, int depth) {
  const auto& set = value.__isset;
  const int fields = set.is_null + set.boolean + set.int64 + set.uint64 + set.float64 + set.decimal +
                     set.text + set.bytes + set.date + set.time + set.timestamp + set.timestamp_tz +
                     set.json + set.uuid + set.elements;
  if (fields != 1) return refuse(fmt::format("a value has {} fields set, exactly one is expected", fields));
  if (set.is_null) return Value{Null{}};
  if (set.boolean) return Value{value.boolean};
  if (set.int64) return Value{value.int64};
  if (set.uint64) return Value{static_cast<std::uint64_t>(value.uint64)};
  if (set.float64) return Value{value.float64};
  if (set.decimal) return Value{Decimal{value.decimal}};
  if (set.text) return Value{Text{value.text}};
  if (set.bytes) return Value{Bytes{value.bytes}};
  if (set.date) return Value{Date{value.date}};
  if (set.time) return Value{Time{value.time}};
  if (set.timestamp) return Value{Timestamp{value.timestamp}};
  if (set.timestamp_tz) return Value{TimestampTz{value.timestamp_tz}};
  if (set.json) return Value{Json{value.json}};
  if (set.uuid) return Value{Uuid{value.uuid}};
  auto array = array_of(value.elements, depth);
  if (!array) return std::unexpected(std::move(array.error()));
  return Value{*std::move(array)};
}

wire::Value wire_of(const Value& value);

struct WriteValue {
  wire::Value& out;
  void operator()(const Null&) const { out.__set_is_null(true); }
  void operator()(bool is) const { out.__set_boolean(is); }
  void operator()(std::int64_t is) const { out.__set_int64(is); }
  void operator()(std::uint64_t is) const { out.__set_uint64(static_cast<std::int64_t>(is)); }
  void operator()(double is) const { out.__set_float64(is); }
  void operator()(const Decimal& is) const { out.__set_decimal(is.text); }
  void operator()(const Text& is) const { out.__set_text(is.text); }
  void operator()(const Bytes& is) const { out.__set_bytes(is.octets); }
  void operator()(const Date& is) const { out.__set_date(is.text); }
  void operator()(const Time& is) const { out.__set_time(is.text); }
  void operator()(const Timestamp& is) const { out.__set_timestamp(is.text); }
  void operator()(const TimestampTz& is) const { out.__set_timestamp_tz(is.text); }
  void operator()(const Json& is) const { out.__set_json(is.text); }
  void operator()(const Uuid& is) const { out.__set_uuid(is.text); }
  void operator()(const Array& is) const {
    std::vector<wire::Value> elements;
    elements.reserve(is.elements.size());
    for (const auto& element : is.elements)
      elements.push_back(wire_of(element));
    out.__set_elements(elements);
  }
};

wire::Value wire_of(const Value& value) {
  wire::Value out;
  std::visit(WriteValue{out}, value.is);
  return out;
}

wire::StatementResult wire_of(const StatementResult& result) {
  wire::StatementResult out;
  for (const auto& column : result.columns) {
    wire::Column named;
    named.name = column.name;
    named.type = column.type;
    out.columns.push_back(std::move(named));
  }
  for (const auto& row : result.rows) {
    wire::Row values;
    values.values.reserve(row.size());
    for (const auto& value : row)
      values.values.push_back(wire_of(value));
    out.rows.push_back(std::move(values));
  }
  out.affected_rows = static_cast<std::int64_t>(result.affected);
  if (result.generated_key) out.__set_generated_key(static_cast<std::int64_t>(*result.generated_key));
  return out;
}

// ---- statements

Result<ExpectRows> expectation_of(const wire::ExpectRows& expect) {
  if (expect.__isset.exactly == expect.__isset.at_least) {
    return refuse("expect_rows names either `exactly` or `at_least`");
  }
  const auto rows = expect.__isset.exactly ? expect.exactly : expect.at_least;
  if (rows < 0) return refuse(fmt::format("expect_rows is {}: expected 0 or more", rows));
  return ExpectRows{expect.__isset.exactly ? ExpectRows::Rule::kExactly : ExpectRows::Rule::kAtLeast,
                    static_cast<std::uint64_t>(rows)};
}

wire::ExpectRows wire_of(const ExpectRows& expect) {
  wire::ExpectRows out;
  const auto rows = static_cast<std::int64_t>(expect.rows);
  if (expect.rule == ExpectRows::Rule::kExactly) {
    out.__set_exactly(rows);
  } else {
    out.__set_at_least(rows);
  }
  return out;
}

Result<Statement> statement_of(const wire::Statement& statement) {
  Statement out;
  out.sql = statement.sql;
  out.parameters.reserve(statement.parameters.size());
  for (const auto& parameter : statement.parameters) {
    auto value = value_of(parameter, 0);
    if (!value) return std::unexpected(std::move(value.error()));
    out.parameters.push_back(*std::move(value));
  }
  if (statement.__isset.expect_rows) {
    auto expect = expectation_of(statement.expect_rows);
    if (!expect) return std::unexpected(std::move(expect.error()));
    out.expect_rows = *expect;
  }
  return out;
}

Result<Duration> duration_of(std::string_view what, std::int64_t ms) {
  constexpr std::int64_t kLongest = 366LL * 24 * 3600 * 1000;
  if (ms < 0 || ms > kLongest)
    return refuse(fmt::format("{} is {}: expected 0 to {} ms", what, ms, kLongest));
  return std::chrono::milliseconds(ms);
}

wire::Vote::type wire_of(Vote vote) {
  switch (vote) {
    case Vote::kYes: return wire::Vote::YES;
    case Vote::kNo: return wire::Vote::NO;
    case Vote::kReadOnly: return wire::Vote::READ_ONLY;
    case Vote::kCommitted: return wire::Vote::COMMITTED;
    case Vote::kAlreadyCommitted: return wire::Vote::ALREADY_COMMITTED;
    case Vote::kUndecided: return wire::Vote::UNDECIDED;
  }
  return wire::Vote::UNDECIDED;
}

}  // namespace

Result<Leader> leader_of(const wire::LeaderHeader& header) {
  auto cluster = parse_cluster_id(header.cluster);
  if (!cluster) return std::unexpected(std::move(cluster.error()));
  constexpr std::int64_t kMaxEpoch = std::numeric_limits<std::uint32_t>::max();
  if (header.epoch.number <= 0 || header.epoch.number > kMaxEpoch || header.watermark_epoch < 0 ||
      header.watermark_epoch > kMaxEpoch || header.watermark_sequence < 0 || header.new_reign < 0 ||
      header.new_reign > header.epoch.number) {
    return refuse("the message's epoch or watermark is out of range: is the peer a Troth coordinator?");
  }
  return Leader{*std::move(cluster),
                Epoch{EpochNumber{static_cast<std::uint32_t>(header.epoch.number)},
                      Nonce{static_cast<std::uint64_t>(header.epoch.nonce)}},
                Position{EpochNumber{static_cast<std::uint32_t>(header.watermark_epoch)},
                         Sequence{static_cast<std::uint64_t>(header.watermark_sequence)}},
                EpochNumber{static_cast<std::uint32_t>(header.new_reign)}};
}

Result<BranchId> branch_of(const std::string& transaction, std::int32_t branch) {
  auto id = TransactionId::parse(transaction);
  if (!id) return std::unexpected(std::move(id.error()));
  if (branch <= 0) return refuse(fmt::format("branch is {}: branches are numbered from 1", branch));
  return BranchId{*std::move(id), BranchNumber{static_cast<std::uint32_t>(branch)}};
}

Result<RequestKey> request_key_of(const wire::RequestKey& key) {
  const auto id = RequestId::parse(key.request_id);
  if (!id) return std::unexpected(id.error());
  return RequestKey{key.client, *id};
}

wire::RequestKey wire_of(const RequestKey& key) {
  wire::RequestKey out;
  out.client = key.client;
  out.request_id = key.id.text();
  return out;
}

Result<Isolation> isolation_of(wire::Isolation::type isolation) {
  switch (isolation) {
    case wire::Isolation::SERVER_DEFAULT: return Isolation::kUnset;
    case wire::Isolation::READ_COMMITTED: return Isolation::kReadCommitted;
    case wire::Isolation::REPEATABLE_READ: return Isolation::kRepeatableRead;
    case wire::Isolation::SERIALIZABLE: return Isolation::kSerializable;
  }
  return refuse(fmt::format("isolation {} is not known to this version", static_cast<int>(isolation)));
}

wire::Isolation::type wire_of(Isolation isolation) {
  switch (isolation) {
    case Isolation::kUnset: return wire::Isolation::SERVER_DEFAULT;
    case Isolation::kReadCommitted: return wire::Isolation::READ_COMMITTED;
    case Isolation::kRepeatableRead: return wire::Isolation::REPEATABLE_READ;
    case Isolation::kSerializable: return wire::Isolation::SERIALIZABLE;
  }
  return wire::Isolation::SERVER_DEFAULT;
}

Result<Digest> digest_of(const std::string& bytes) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    return refuse(fmt::format("a digest has {} bytes, {} are expected", bytes.size(), digest.bytes.size()));
  }
  std::ranges::copy(bytes, digest.bytes.begin());
  return digest;
}

Result<std::vector<Statement>> statements_of(const wire::BranchWork& work) {
  std::vector<Statement> statements;
  statements.reserve(work.statements.size());
  for (std::size_t i = 0; i < work.statements.size(); ++i) {
    auto statement = statement_of(work.statements[i]);
    if (!statement) {
      statement.error().statement = static_cast<std::uint32_t>(i + 1);
      return std::unexpected(std::move(statement.error()));
    }
    statements.push_back(*std::move(statement));
  }
  return statements;
}

wire::BranchWork wire_of(const ResourceName& resource, const std::vector<Statement>& statements,
                         bool read_only) {
  wire::BranchWork work;
  work.resource = resource.value;
  work.read_only = read_only;
  for (const auto& statement : statements) {
    wire::Statement out;
    out.sql = statement.sql;
    for (const auto& parameter : statement.parameters)
      out.parameters.push_back(wire_of(parameter));
    if (statement.expect_rows) out.__set_expect_rows(wire_of(*statement.expect_rows));
    work.statements.push_back(std::move(out));
  }
  return work;
}

namespace {

// What a prepare and a statement say of their branch.
template <typename Request>
Status read_branch(const Request& request, const std::string& resource, Work& work) {
  auto id = branch_of(request.transaction_id, request.branch);
  if (!id) return std::unexpected(std::move(id.error()));
  work.id = *std::move(id);
  auto name = parse_resource_name(resource);
  if (!name) return std::unexpected(std::move(name.error()));
  work.resource = *std::move(name);
  auto leader = leader_of(request.header);
  if (!leader) return std::unexpected(std::move(leader.error()));
  work.epoch = leader->epoch.number;
  work.incarnation = Incarnation{static_cast<std::uint64_t>(request.incarnation)};
  if (request.__isset.request) {
    auto key = request_key_of(request.request);
    if (!key) return std::unexpected(std::move(key.error()));
    work.request = *std::move(key);
  }
  auto digest = digest_of(request.digest);
  if (!digest) return std::unexpected(std::move(digest.error()));
  work.digest = *digest;
  auto isolation = isolation_of(request.isolation);
  if (!isolation) return std::unexpected(std::move(isolation.error()));
  work.isolation = *isolation;
  auto timeout = duration_of("timeout_ms", request.timeout_ms);
  if (!timeout) return std::unexpected(std::move(timeout.error()));
  work.timeout = *timeout;
  auto statement_timeout = duration_of(
      "statement_timeout_ms", request.__isset.statement_timeout_ms ? request.statement_timeout_ms : 0);
  if (!statement_timeout) return std::unexpected(std::move(statement_timeout.error()));
  work.statement_timeout = *statement_timeout;
  work.max_rows = static_cast<std::uint64_t>(std::max<std::int64_t>(0, request.max_rows));
  work.label = request.label;
  work.traceparent = request.traceparent;
  return {};
}

}  // namespace

Result<Work> work_of(const wire::PrepareRequest& request) {
  Work work;
  if (auto read = read_branch(request, request.work.resource, work); !read)
    return std::unexpected(std::move(read.error()));
  if (request.one_phase != work.id.transaction.is_one_phase()) {
    return refuse(fmt::format("{} is {}a one-phase transaction by its id", work.id.transaction.text(),
                              request.one_phase ? "not " : ""));
  }
  work.interactive = request.interactive;
  work.declared_read_only = request.work.read_only;
  work.announced_statements = static_cast<std::uint32_t>(request.statement_count);
  auto statements = statements_of(request.work);
  if (!statements) return std::unexpected(std::move(statements.error()));
  work.statements = *std::move(statements);
  return work;
}

Result<Work> work_of(const wire::StatementRequest& request) {
  Work work;
  if (auto read = read_branch(request, request.resource, work); !read)
    return std::unexpected(std::move(read.error()));
  if (work.id.transaction.is_one_phase())
    return refuse(fmt::format("{} is a one-phase transaction by its id", work.id.transaction.text()));
  auto idle = duration_of("idle_timeout_ms", request.idle_timeout_ms);
  if (!idle) return std::unexpected(std::move(idle.error()));
  work.idle_timeout = *idle;
  work.interactive = true;
  work.declared_read_only = request.read_only;
  return work;
}

Result<NumberedStatement> statement_of(const wire::StatementRequest& request) {
  if (request.number <= 0)
    return refuse(fmt::format("statement number {}: expected 1, 2, ..", request.number));
  NumberedStatement numbered{static_cast<std::uint32_t>(request.number), std::nullopt};
  if (!request.__isset.statement) return numbered;
  auto statement = statement_of(request.statement);
  if (!statement) {
    statement.error().statement = numbered.number;
    return std::unexpected(std::move(statement.error()));
  }
  numbered.statement = *std::move(statement);
  return numbered;
}

wire::StatementReply reply_of(const ResourceName& resource, const StatementAnswer& answer, RowRange range) {
  wire::StatementReply reply;
  if (answer.refusal) {
    auto refusal = *answer.refusal;
    refusal.resource = resource.value;
    reply.__set_refusal(wire::from_error(refusal));
    reply.over = answer.over;
    return reply;
  }
  const StatementResult& kept = *answer.result;
  const auto rows = kept.rows.size();
  const auto first = std::min<std::uint64_t>(range.from, rows);
  const auto count = range.count == 0 ? rows - first : std::min<std::uint64_t>(range.count, rows - first);
  StatementResult page{kept.columns, {}, kept.affected, kept.generated_key};
  const auto begin = kept.rows.begin() + static_cast<std::ptrdiff_t>(first);
  page.rows.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  reply.result = wire_of(page);
  reply.more = first + count < rows;
  return reply;
}

wire::PrepareReply reply_of(const ResourceName& resource, VoteAnswer answer) {
  wire::PrepareReply reply;
  reply.vote = wire_of(answer.vote);
  reply.result.resource = resource.value;
  for (const auto& result : answer.results)
    reply.result.statements.push_back(wire_of(result));
  if (answer.refusal) reply.__set_refusal(wire::from_error(*answer.refusal));
  if (answer.committed_as) reply.__set_committed_as(*answer.committed_as);
  return reply;
}

wire::BranchEnd::type wire_of(BranchEnd end) {
  switch (end) {
    case BranchEnd::kCommitted: return wire::BranchEnd::COMMITTED;
    case BranchEnd::kRolledBack: return wire::BranchEnd::ROLLED_BACK;
    case BranchEnd::kUndecided: return wire::BranchEnd::UNDECIDED;
    case BranchEnd::kLost: return wire::BranchEnd::LOST;
    case BranchEnd::kTooOld: return wire::BranchEnd::TOO_OLD;
    case BranchEnd::kHeuristicCommitted: return wire::BranchEnd::HEURISTIC_COMMITTED;
    case BranchEnd::kHeuristicRolledBack: return wire::BranchEnd::HEURISTIC_ROLLED_BACK;
  }
  return wire::BranchEnd::UNDECIDED;
}

Result<BranchEnd> end_of(wire::BranchEnd::type end) {
  switch (end) {
    case wire::BranchEnd::COMMITTED: return BranchEnd::kCommitted;
    case wire::BranchEnd::ROLLED_BACK: return BranchEnd::kRolledBack;
    case wire::BranchEnd::UNDECIDED: return BranchEnd::kUndecided;
    case wire::BranchEnd::LOST: return BranchEnd::kLost;
    case wire::BranchEnd::TOO_OLD: return BranchEnd::kTooOld;
    case wire::BranchEnd::HEURISTIC_COMMITTED: return BranchEnd::kHeuristicCommitted;
    case wire::BranchEnd::HEURISTIC_ROLLED_BACK: return BranchEnd::kHeuristicRolledBack;
  }
  return fail(ErrorCode::kCorrupt, Effect::kNone,
              fmt::format("a branch's end {} is not known to this version", static_cast<int>(end)));
}

GroupDecision decision_of(wire::Decision::type decision) {
  switch (decision) {
    case wire::Decision::COMMIT: return GroupDecision::kCommit;
    case wire::Decision::ABORT: return GroupDecision::kAbort;
    case wire::Decision::UNDECIDED: return GroupDecision::kUndecided;
    case wire::Decision::TOO_OLD: return GroupDecision::kTooOld;
  }
  return GroupDecision::kUndecided;  // a newer coordinator's word: asking again is always safe
}

}  // namespace troth::agent
