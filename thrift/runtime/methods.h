// thrift/runtime/methods.h
//
// What the build learns from the IDL about each service, beside Thrift's own code; filled in by the generated
// <stem>_methods.h (see cmake/TrothThrift.cmake).
#pragma once

namespace troth::rpc {

// MethodsOf<BankAsyncProcessor>::kNames are the names of that service's methods.
template <typename Generated>
struct MethodsOf;

}  // namespace troth::rpc
