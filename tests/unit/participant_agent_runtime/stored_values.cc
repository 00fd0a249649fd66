#include "tests/unit/participant_agent_runtime/stored_values.h"

#include <bit>
#include <cstdint>
#include <utility>
#include <variant>

#include <fmt/format.h>

namespace troth::agent {

namespace {

struct Shower {
  std::string operator()(const Null&) const { return {}; }
  std::string operator()(bool b) const { return b ? "true" : "false"; }
  std::string operator()(std::int64_t n) const { return std::to_string(n); }
  std::string operator()(std::uint64_t n) const { return std::to_string(n); }
  std::string operator()(double d) const { return fmt::format("{}", d); }
  std::string operator()(const Bytes& bytes) const {
    std::string hex;
    for (const char c : bytes.octets.substr(0, 64))
      hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return fmt::format("{} octets: {}", bytes.octets.size(), hex);
  }
  std::string operator()(const Array& array) const {
    std::string list;
    for (const Value& element : array.elements)
      list += show(element) + ", ";
    return list;
  }
  template <typename Tag>
  std::string operator()(const Texted<Tag>& texted) const {
    return texted.text.size() > 200
               ? fmt::format("{}... ({})", texted.text.substr(0, 200), texted.text.size())
               : texted.text;
  }
};

}  // namespace

bool same_value(const Value& a, const Value& b) {
  if (const auto* x = std::get_if<double>(&a.is)) {
    const auto* y = std::get_if<double>(&b.is);
    return y != nullptr && std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y);
  }
  if (const auto* x = std::get_if<Array>(&a.is)) {
    const auto* y = std::get_if<Array>(&b.is);
    if (y == nullptr || x->elements.size() != y->elements.size()) return false;
    for (std::size_t i = 0; i < x->elements.size(); ++i)
      if (!same_value(x->elements[i], y->elements[i])) return false;
    return true;
  }
  return a == b;
}

std::string show(const Value& value) {
  return fmt::format("{} {}", type_name(value), std::visit(Shower{}, value.is));
}

std::string StoredValues::table_of(const std::string& type) {
  const auto known = tables_.find(type);
  if (known != tables_.end()) return known->second;
  static int last_table = 0;
  const std::string name = fmt::format("kind_{}", ++last_table);
  resource_.run(fmt::format("CREATE TABLE {} (n INT PRIMARY KEY, v {})", name, type));
  if (resource_.is_postgres())
    resource_.run(fmt::format("GRANT ALL ON {} TO {}", name, resource_.options().user));
  tables_.emplace(type, name);
  return name;
}

DatabaseConnection& StoredValues::clean_session() {
  if (session_ == nullptr || session_->condition() != ConnectionCondition::kIdle || !session_->clean_up())
    session_ = resource_.connect();
  return *session_;
}

void StoredValues::compare_in_one_trip(const std::vector<Statement>& inserts, const Statement& select,
                                       const Stored& in_steps) {
  if (resource_.is_postgres() || !check_statements(resource_.kind(), inserts).has_value()) return;
  // The session may be a new one: the first branch prepares the statements, the second knows them.
  WorkResult result;
  for (int i = 0; i < 2; ++i) {
    DatabaseConnection& session = clean_session();
    const BranchWork work = resource_.work(inserts);
    result = session.run_branch(work);
    if (!std::holds_alternative<Prepared>(result.outcome)) continue;
    const auto ending = i == 1 ? PreparedEnding::kCommit : PreparedEnding::kRollBack;
    EXPECT_TRUE(session.finish_prepared(work.start.id, ending).has_value());
  }
  if (const auto* refused = std::get_if<Refused>(&result.outcome); refused != nullptr) {
    EXPECT_TRUE(in_steps.error.has_value()) << refused->error.message;
    if (!in_steps.error.has_value()) return;
    EXPECT_EQ(refused->error.message, in_steps.error->message);
    EXPECT_EQ(refused->error.statement, in_steps.error->statement);
    EXPECT_EQ(refused->error.vendor_code, in_steps.error->vendor_code);
    EXPECT_EQ(refused->error.code, in_steps.error->code);
    return;
  }
  ASSERT_TRUE(ended_as<Prepared>(result));
  EXPECT_FALSE(in_steps.error.has_value()) << in_steps.error->message;
  if (!result.times.ending.has_value()) ++in_one_trip_;
  const Stored read = run({select});
  ASSERT_EQ(read.values.size(), in_steps.values.size());
  for (std::size_t i = 0; i < read.values.size(); ++i)
    EXPECT_TRUE(same_value(read.values[i], in_steps.values[i]))
        << show(read.values[i]) << " in one trip, " << show(in_steps.values[i]) << " in steps";
}

Stored StoredValues::run(const std::vector<Statement>& statements) {
  Stored stored;
  // As an agent does before it takes a session.
  if (const Status checked = check_statements(resource_.kind(), statements); !checked.has_value()) {
    stored.error = checked.error();
    return stored;
  }
  const WorkResult result =
      clean_session().run_branch(resource_.work(statements, BranchEnding::kCommitOnePhase));
  if (const auto* refused = std::get_if<Refused>(&result.outcome)) {
    stored.error = refused->error;
    return stored;
  }
  EXPECT_TRUE(ended_as<CommittedOnePhase>(result));
  if (result.results.empty()) return stored;
  const StatementResult& read = result.results.back();
  if (!read.columns.empty()) stored.type = read.columns.front().type;
  for (const auto& row : read.rows)
    stored.values.push_back(row.at(0));
  return stored;
}

Stored StoredValues::store(const std::string& type, const std::vector<Value>& values) {
  const std::string table = table_of(type);
  const Statement clear = resource_.statement(fmt::format("DELETE FROM {}", table));
  std::vector<Statement> statements;
  std::int64_t number = 0;
  for (const Value& value : values) {
    statements.push_back(
        resource_.statement(fmt::format("INSERT INTO {} (n, v) VALUES (?, ?)", table), {{number++}, value}));
  }
  const Statement select = resource_.statement(fmt::format("SELECT v FROM {} ORDER BY n", table));
  std::vector<Statement> and_read = statements;
  and_read.push_back(select);
  Stored stored = run(and_read);
  if (!stored.error.has_value()) resource_.run(clear.sql);
  compare_in_one_trip(statements, select, stored);
  resource_.run(clear.sql);
  return stored;
}

Stored StoredValues::store(const std::string& type, const Value& value, const std::string& insert,
                           const std::string& select) {
  const std::string table = table_of(type);
  const Statement write = resource_.statement(fmt::format(fmt::runtime(insert), table), {value});
  const Statement read = resource_.statement(fmt::format(fmt::runtime(select), table));
  Stored stored = run({write, read});
  resource_.run(fmt::format("DELETE FROM {}", table));
  compare_in_one_trip({write}, read, stored);
  resource_.run(fmt::format("DELETE FROM {}", table));
  return stored;
}

void StoredValues::come_back(const std::string& type, const std::vector<Value>& values) {
  const Stored stored = store(type, values);
  if (stored.error.has_value()) {
    ADD_FAILURE() << type << ": " << stored.error->message << " (statement "
                  << stored.error->statement.value_or(0) << ")";
    return;
  }
  ASSERT_EQ(stored.values.size(), values.size()) << type;
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_TRUE(same_value(values[i], stored.values[i]))
        << type << ": sent " << show(values[i]) << ", came back " << show(stored.values[i]);
}

void StoredValues::comes_back_as(const std::string& type, const Value& sent, const Value& read) {
  const Stored stored = store(type, {sent});
  if (stored.error.has_value()) {
    ADD_FAILURE() << type << " <- " << show(sent) << ": " << stored.error->message;
    return;
  }
  ASSERT_EQ(stored.values.size(), 1U);
  EXPECT_TRUE(same_value(stored.values[0], read)) << type << ": sent " << show(sent) << ", came back "
                                                  << show(stored.values[0]) << " instead of " << show(read);
}

void StoredValues::is_refused(const std::string& type, const Value& value, ErrorCode code,
                              const std::vector<std::string>& parts) {
  const Stored stored = store(type, {value});
  if (!stored.error.has_value()) {
    ADD_FAILURE() << type << " took " << show(value) << " as "
                  << (stored.values.empty() ? "nothing" : show(stored.values[0]));
    return;
  }
  EXPECT_EQ(stored.error->code, code) << type << " <- " << show(value) << ": " << stored.error->message;
  EXPECT_EQ(stored.error->effect, Effect::kNone) << type;
  EXPECT_EQ(stored.error->statement, 1U) << type << ": " << stored.error->message;
  for (const std::string& part : parts)
    EXPECT_NE(stored.error->message.find(part), std::string::npos)
        << type << " <- " << show(value) << " says '" << stored.error->message << "', not '" << part << "'";
}

Stored StoredValues::read(const std::string& sql, const std::vector<Value>& parameters) {
  return run({resource_.statement(sql, parameters)});
}

}  // namespace troth::agent
