// tests/sim/shim/asio/ssl/context.hpp
//
// Stands in for Asio's: nothing is encrypted here.
#pragma once

namespace asio::ssl {

class context {};

}  // namespace asio::ssl
