#include "base/version.h"

namespace troth {

std::string_view troth_version() {
  return TROTH_VERSION;
}

}  // namespace troth
