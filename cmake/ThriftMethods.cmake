# Run by cmake -P: writes HEADER from JSON (thrift --gen json), see cmake/TrothThrift.cmake.
# For each service the names of its methods (a server dispatches by them), for each method one type that a
# channel calls it by.
file(READ ${JSON} idl)
string(JSON stem GET "${idl}" name)
string(JSON cpp_namespace ERROR_VARIABLE no_namespace GET "${idl}" namespaces cpp)
if(no_namespace)
  message(FATAL_ERROR "${stem}.thrift has no `namespace cpp`: add one, the generated types must not be global")
endif()
string(REPLACE "." "::" cpp_namespace ${cpp_namespace})
string(JSON service_count LENGTH "${idl}" services)

set(includes "")
set(method_types "")
set(method_lists "")
if(service_count GREATER 0)
  math(EXPR last_service "${service_count} - 1")
  foreach(s RANGE ${last_service})
    string(JSON service GET "${idl}" services ${s} name)
    string(JSON base ERROR_VARIABLE no_base GET "${idl}" services ${s} extends)
    if(NOT no_base)
      message(FATAL_ERROR "${stem}.thrift: service ${service} extends ${base}: not supported, method names are "
        "unique over all services and a service lists its own")
    endif()
    string(APPEND includes "#include \"${service}.h\"\n")
    set(names "")
    string(JSON method_count LENGTH "${idl}" services ${s} functions)
    math(EXPR last_method "${method_count} - 1")
    foreach(m RANGE ${last_method})
      string(JSON method GET "${idl}" services ${s} functions ${m} name)
      string(JSON oneway GET "${idl}" services ${s} functions ${m} oneway)
      string(APPEND names "\"${method}\", ")
      if(oneway)
        string(APPEND method_types
          "struct ${service}_${method} {\n"
          "  static constexpr std::string_view kName = \"${method}\";\n"
          "  using Arguments = ${service}_${method}_pargs;\n"
          "};\n")
      else()
        string(APPEND method_types
          "struct ${service}_${method} {\n"
          "  static constexpr std::string_view kName = \"${method}\";\n"
          "  using Arguments = ${service}_${method}_pargs;\n"
          "  using Outcome = ${service}_${method}_presult;\n"
          "};\n")
      endif()
    endforeach()
    string(APPEND method_lists
      "template <>\nstruct MethodsOf<${cpp_namespace}::${service}AsyncProcessor> {\n"
      "  static constexpr std::string_view kNames[] = {${names}};\n};\n")
  endforeach()
endif()

file(WRITE ${HEADER} "// Generated from ${stem}.thrift.\n#pragma once\n\n#include <string_view>\n\n"
  "#include \"thrift/runtime/methods.h\"\n${includes}\nnamespace ${cpp_namespace} {\n${method_types}}\n\n"
  "namespace troth::rpc {\n${method_lists}}\n")
