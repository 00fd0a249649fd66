// thrift/runtime/stream.h
//
// What a connection reads from and writes to. The only place that names the type: a stream with encryption
// goes in here, and nothing above it changes.
#pragma once

#include <utility>  // Asio 1.22 uses std::exchange without including it

#include <asio/ip/tcp.hpp>

namespace troth::rpc {

using Stream = asio::ip::tcp::socket;

// Small messages go out at once; failures do not matter, a stream without it is only slower.
inline void make_prompt(Stream& stream) {
  asio::error_code ignored;
  stream.set_option(asio::ip::tcp::no_delay(true), ignored);
}

// Ends both directions and every pending operation.
inline void close_stream(Stream& stream) {
  asio::error_code ignored;
  stream.close(ignored);
}

// The peer reads to the end of what was written, then sees the end of the stream.
inline void end_writing(Stream& stream) {
  asio::error_code ignored;
  stream.shutdown(asio::socket_base::shutdown_send, ignored);
}

}  // namespace troth::rpc
