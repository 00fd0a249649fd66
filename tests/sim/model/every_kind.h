// tests/sim/model/every_kind.h
//
// Tests of the model alone that take a kind of database as their parameter.
#pragma once

#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "participant_agent/dialect/database_kind.h"

namespace troth::agent {

// GoogleTest prints a parameter with this.
inline void PrintTo(DatabaseKind kind, std::ostream* out) {
  *out << name_of(kind);
}

}  // namespace troth::agent

#define TROTH_FOR_EVERY_KIND(suite)                                                                     \
  INSTANTIATE_TEST_SUITE_P(Kinds, suite,                                                                \
                           testing::Values(agent::DatabaseKind::kPostgres, agent::DatabaseKind::kMysql, \
                                           agent::DatabaseKind::kMariadb),                              \
                           [](const auto& one) { return std::string(name_of(one.param)); })
