// troth: the operator's tool.
#include <iostream>
#include <string>
#include <vector>

#include <signal.h>

#include "recovery/runtime/tool.h"

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  return troth::recovery::run_tool(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr);
}
