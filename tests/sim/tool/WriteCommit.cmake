# cmake -DSOURCE=... -DFILE=... -P WriteCommit.cmake: which commit the simulator is built from, for its results file. Run at
# every build, because a binary knows better than whoever starts it; the file is written only where it changes.
set(ENV{GIT_OPTIONAL_LOCKS} 0)
set(git git -C ${SOURCE} -c safe.directory=*)
execute_process(COMMAND ${git} rev-parse --show-toplevel OUTPUT_VARIABLE top ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
set(commit "unknown")
file(REAL_PATH ${SOURCE} source)
# A copy that lies in another tree is of no commit.
if(top STREQUAL source)
  execute_process(COMMAND ${git} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
string(CONCAT text "#include \"tests/sim/tool/results.h\"\n\nnamespace troth::sim {\n\nstd::string_view built_from() {\n"
  "  return \"${commit}\";\n}\n\n}  // namespace troth::sim\n")
set(before "")
if(EXISTS ${FILE})
  file(READ ${FILE} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${FILE} "${text}")
endif()
