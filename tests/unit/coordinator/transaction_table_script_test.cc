#include <gtest/gtest.h>

#include "tests/unit/coordinator/script.h"
#include "tests/unit/coordinator/table_world.h"

namespace troth::coordinator {
namespace {

class TransactionTableScript : public testing::TestWithParam<std::string> {};

TEST_P(TransactionTableScript, Holds) {
  TableWorld world;
  run_script(GetParam(), world);
}

INSTANTIATE_TEST_SUITE_P(Scripts, TransactionTableScript, testing::ValuesIn(scripts_of("transaction_table")),
                         script_name);

}  // namespace
}  // namespace troth::coordinator
