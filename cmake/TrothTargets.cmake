# troth_library(NAME SOURCES ... [LINKS ...]), troth_program(...), troth_test(...):
# every target of this project goes through one of these three, so that warnings are the same for all.
function(_troth_common target)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE troth_warnings)
endfunction()

function(troth_library target)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_link_libraries(${target} PUBLIC ${ARG_LINKS})
  _troth_common(${target})
endfunction()

function(troth_program target)
  cmake_parse_arguments(ARG "" "OUTPUT" "SOURCES;LINKS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS})
  if(ARG_OUTPUT)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT})
  endif()
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  _troth_common(${target})
endfunction()

# troth_test(NAME SOURCES ... [LINKS ...] [LABELS ...]): one GoogleTest binary, each of its tests known to ctest.
# Labels: "pure" (unit tests and scripts), "threads" (runs under TSan as well), "database" (needs servers).
function(troth_test target)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  _troth_common(${target})
  foreach(label IN LISTS ARG_LABELS)
    # `pure_tests`, `threads_tests`, `database_tests`: what one sanitizer needs, without building the rest.
    if(NOT TARGET ${label}_tests)
      add_custom_target(${label}_tests)
    endif()
    add_dependencies(${label}_tests ${target})
  endforeach()
  gtest_discover_tests(${target} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 120)
endfunction()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
if(TROTH_TESTS)
  find_package(GTest REQUIRED)
endif()
include(GoogleTest)

# troth_fuzz(NAME SOURCES ... [LINKS ...]): a coverage-guided fuzz target (LLVMFuzzerTestOneInput), built by the preset
# `fuzz` only, into build/fuzz/fuzz/. Seeds, if any, lie in tests/fuzz/seeds/NAME/. `make fuzz` runs each for a minute.
function(troth_fuzz target)
  if(NOT TROTH_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS})
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  _troth_common(${target})
  if(NOT TARGET fuzz_targets)
    add_custom_target(fuzz_targets)
  endif()
  add_dependencies(fuzz_targets ${target})
endfunction()
