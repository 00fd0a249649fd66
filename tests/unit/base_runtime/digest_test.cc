#include "base/runtime/digest.h"

#include <gtest/gtest.h>

namespace troth {
namespace {

// FIPS 180-4 examples.
TEST(Digest, AgreesWithThePublishedExamples) {
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace troth
