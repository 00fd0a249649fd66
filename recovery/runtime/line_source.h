// recovery/runtime/line_source.h
//
// Where the shell's lines come from: a person at a terminal, with editing, history and completion, or a file
// or pipe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "recovery/runtime/interrupts.h"
#include "recovery/shell_words.h"

namespace troth::recovery {

struct LinesEnded {};
struct LineInterrupted {};  // an interrupt is there to be taken; what had been typed is gone
using LineRead = std::variant<std::string, LinesEnded, LineInterrupted>;

class LineSource {
 public:
  virtual ~LineSource() = default;
  // The next line, without its end.
  [[nodiscard]] virtual LineRead read(const std::string& prompt) = 0;
};

// A file or a pipe: no prompt, no history.
[[nodiscard]] std::unique_ptr<LineSource> lines_of(int fd, Interrupts& interrupts);

// A terminal (standard input and output). `history_file` may be empty: none is kept.
using Complete = std::function<Completion(std::string_view line)>;
[[nodiscard]] std::unique_ptr<LineSource> lines_of_terminal(Interrupts& interrupts,
                                                            const std::string& history_file,
                                                            Complete complete);

// $XDG_STATE_HOME/troth/shell_history, or ~/.local/state/troth/shell_history; empty where neither is known.
[[nodiscard]] std::string usual_history_file();

}  // namespace troth::recovery
