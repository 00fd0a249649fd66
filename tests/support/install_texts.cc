// Prints what `troth install` puts into a resource, each text behind the other with a zero byte between, for
// tests that make many databases.

#include <cstdio>

#include "participant_agent/dialect/schema.h"

int main(int argc, char** argv) {
  using namespace troth::agent;
  const auto kind = argc == 5 ? database_kind_of(argv[1]) : std::nullopt;
  if (!kind) {
    std::fputs("usage: install_texts KIND ROLE DATABASE INSTALLATION\n", stderr);
    return 2;
  }
  const InstallOptions options{
      .role = argv[2], .role_host = "%", .database = argv[3], .installation = argv[4]};
  for (const auto& text : install_texts(*kind, options)) {
    std::fwrite(text.c_str(), 1, text.size() + 1, stdout);
  }
}
