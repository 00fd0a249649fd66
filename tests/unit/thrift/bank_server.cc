// The test server as a process, for clients in other languages: prints its port, serves until its standard
// input ends. usage: rpc_bank_server MAX_CONNECTIONS MAX_CALLS_PER_CONNECTION
#include <cstdio>
#include <string>

#include <unistd.h>

#include "tests/unit/thrift/test_bank.h"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  troth::rpc::ServerOptions options;
  options.max_connections = std::stoul(arguments[1]);
  options.max_calls_per_connection = std::stoul(arguments[2]);
  const troth::rpc::test::BankServer server(std::move(options));
  std::printf("%d\n", server.address().port);
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
