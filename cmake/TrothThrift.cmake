# troth_thrift_library(TARGET FILES a.thrift b.thrift ...): a library of the C++ code that Thrift generates.
#
# The generated headers of folder F are included as "F/gen/<name>.h", warnings off:
#   <stem>_types.h      structs, enums and exceptions of <stem>.thrift
#   <Service>.h         the service: <Service>CobSvIf to implement, <Service>AsyncProcessor to give to a server
#   <stem>_methods.h    one type per method, for typed calls: channel.call<Agent_prepare>(...)
#
# troth_thrift_python(TARGET FILES ...): the Python modules, into <build>/python/<TARGET> (for tests and examples).
find_program(THRIFT_COMPILER thrift REQUIRED)
find_library(THRIFT_LIBRARY thrift REQUIRED)

add_library(thrift::thrift INTERFACE IMPORTED GLOBAL)
target_link_libraries(thrift::thrift INTERFACE ${THRIFT_LIBRARY})

function(troth_thrift_library target)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(root ${CMAKE_BINARY_DIR}/idl)
  set(out ${root}/${folder}/gen)
  file(MAKE_DIRECTORY ${out})
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE paths)
  # A change of the list of services changes the list of outputs, so it is read again at configure time.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${paths})
  set(sources)
  set(headers)
  foreach(path IN LISTS paths)
    cmake_path(GET path STEM stem)
    set(generated ${out}/${stem}_types.cpp)
    set(generated_headers ${out}/${stem}_types.h ${out}/${stem}_methods.h)
    file(STRINGS ${path} service_lines REGEX "^service[ \t]+[A-Za-z0-9_]+")
    foreach(line IN LISTS service_lines)
      string(REGEX REPLACE "^service[ \t]+([A-Za-z0-9_]+).*" "\\1" service "${line}")
      list(APPEND generated ${out}/${service}.cpp)
      list(APPEND generated_headers ${out}/${service}.h)
    endforeach()
    add_custom_command(
      OUTPUT ${generated} ${generated_headers}
      COMMAND ${THRIFT_COMPILER} --gen cpp:cob_style,no_skeleton,moveable_types --out ${out} ${path}
      COMMAND ${THRIFT_COMPILER} --gen json --out ${out} ${path}
      COMMAND ${CMAKE_COMMAND} -DJSON=${out}/${stem}.json -DHEADER=${out}/${stem}_methods.h
              -P ${CMAKE_SOURCE_DIR}/cmake/ThriftMethods.cmake
      DEPENDS ${paths} ${CMAKE_SOURCE_DIR}/cmake/ThriftMethods.cmake
      COMMENT "Thrift: C++ of ${folder}/${stem}.thrift"
      VERBATIM)
    list(APPEND sources ${generated})
    list(APPEND headers ${generated_headers})
  endforeach()
  add_library(${target} STATIC ${sources} ${headers})
  target_compile_options(${target} PRIVATE -w)
  target_include_directories(${target} SYSTEM PUBLIC ${root})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC thrift::thrift)
endfunction()

function(troth_thrift_python target)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  set(out ${CMAKE_BINARY_DIR}/python/${target})
  set(stamp ${out}/.generated)
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE paths)
  set(commands)
  foreach(path IN LISTS paths)
    list(APPEND commands COMMAND ${THRIFT_COMPILER} --gen py --out ${out} ${path})
  endforeach()
  add_custom_command(
    OUTPUT ${stamp}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
    ${commands}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${paths}
    COMMENT "Thrift: Python of ${target}"
    VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${stamp})
endfunction()
