// Sends values into columns of real databases and looks at what comes back.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "participant_agent/dialect/statement.h"
#include "tests/unit/participant_agent_runtime/test_resource.h"

namespace troth::agent {

// Equal bit by bit: a NaN is itself, and -0.0 is not 0.0.
[[nodiscard]] bool same_value(const Value& a, const Value& b);
// For messages: "int64 -7".
[[nodiscard]] std::string show(const Value& value);

struct Stored {
  std::vector<Value> values;  // as they came back, in their order
  std::string type;           // of the column, as the result names it
  std::optional<Error> error;
};

class StoredValues {
 public:
  explicit StoredValues(TestResource& resource) : resource_(resource) {}

  // All of them in one branch: an INSERT each into a column of this type, then a SELECT of all. On MySQL and MariaDB the
  // same INSERTs go in one trip afterwards; fails the test unless that comes to the same.
  Stored store(const std::string& type, const std::vector<Value>& values);
  // The same for one value, by `insert` and `select` of table `{}`.
  Stored store(const std::string& type, const Value& value, const std::string& insert,
               const std::string& select);

  // Fails the test unless each comes back as it was sent.
  void come_back(const std::string& type, const std::vector<Value>& values);
  void comes_back_as(const std::string& type, const Value& sent, const Value& read);
  // Fails the test unless the branch is refused with effect none, naming statement 1, and the message holds
  // each part.
  void is_refused(const std::string& type, const Value& value, ErrorCode code,
                  const std::vector<std::string>& parts);

  // A statement by itself, in a branch by itself; its result or why not.
  Stored read(const std::string& sql, const std::vector<Value>& parameters = {});

  // How many branches went in one trip.
  [[nodiscard]] int in_one_trip() const { return in_one_trip_; }

 private:
  Stored run(const std::vector<Statement>& statements);
  // As the pool does between two branches.
  DatabaseConnection& clean_session();
  void compare_in_one_trip(const std::vector<Statement>& inserts, const Statement& select,
                           const Stored& in_steps);
  std::string table_of(const std::string& type);

  TestResource& resource_;
  std::unique_ptr<DatabaseConnection> session_;
  std::map<std::string, std::string> tables_;
  int in_one_trip_ = 0;
};

}  // namespace troth::agent
