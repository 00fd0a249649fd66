# cmake -DPROGRAM=... -DPAGE=... -P ComparePage.cmake: is the committed page what the program prints?
execute_process(COMMAND ${PROGRAM} --settings-reference OUTPUT_VARIABLE made RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} --settings-reference ended with ${code}")
endif()
file(READ ${PAGE} committed)
if(NOT made STREQUAL committed)
  message(FATAL_ERROR "${PAGE} is not what the code says: run ${PROGRAM} --settings-reference > ${PAGE}")
endif()
