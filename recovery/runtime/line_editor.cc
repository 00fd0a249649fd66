// Lines of a terminal, edited by libedit. The only file that knows it.
#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recovery/display_width.h"
#include "recovery/runtime/input.h"
#include "recovery/runtime/line_source.h"

namespace troth::recovery {
namespace {

constexpr std::size_t kLinesKept = 1000;
constexpr std::size_t kLongestLineKept = 64U << 10;

// Lines of plain text, appended one by one, so that two shells can write to one file; cut to the newest when
// one begins. Statements can hold secrets: nobody else may read it.
class HistoryFile {
 public:
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  std::deque<std::string> load() {
    std::deque<std::string> lines;
    if (path_.empty()) return lines;
    std::error_code problem;
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    std::filesystem::create_directories(folder, problem);
    std::ifstream file(path_);
    bool too_many = false;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(std::move(line));
      if (lines.size() <= kLinesKept) continue;
      lines.pop_front();
      too_many = true;
    }
    if (too_many) write_anew(lines);
    return lines;
  }

  void append(const std::string& line) const {
    if (path_.empty() || line.size() > kLongestLineKept) return;
    write(path_, O_APPEND, line + "\n");
  }

 private:
  // False: it could not be written; a shell without history is still a shell.
  static bool write(const std::string& path, int flags, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0) return false;
    // Also where it was made by hand with another mode.
    const bool whole =
        ::fchmod(fd, 0600) == 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return whole;
  }

  void write_anew(const std::deque<std::string>& lines) const {
    std::string text;
    for (const auto& line : lines)
      text += line + "\n";
    const auto beside = path_ + "." + std::to_string(::getpid());
    if (!write(beside, O_EXCL, text) || ::rename(beside.c_str(), path_.c_str()) != 0)
      ::unlink(beside.c_str());
  }

  std::string path_;
};

class LineEditor : public LineSource {
 public:
  LineEditor(const Interrupts& interrupts, const std::string& history_file, Complete complete)
      : input_(STDIN_FILENO, interrupts), file_(history_file), complete_(std::move(complete)) {
    // libedit turns characters into bytes by the locale; in none of UTF-8 nobody could type a name.
    std::setlocale(LC_CTYPE, "");
    if (std::string_view(::nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
    editor_ = ::el_init("troth", stdin, stdout, stderr);
    history_ = ::history_init();
    HistEvent event{};
    ::history(history_, &event, H_SETSIZE, static_cast<int>(kLinesKept));
    ::history(history_, &event, H_SETUNIQUE, 1);
    for (const auto& line : file_.load())
      ::history(history_, &event, H_ENTER, line.c_str());
    ::el_set(editor_, EL_CLIENTDATA, this);
    ::el_set(editor_, EL_HIST, &::history, history_);
    ::el_set(editor_, EL_PROMPT, &LineEditor::prompt_of);
    ::el_set(editor_, EL_EDITOR, "emacs");
    ::el_set(editor_, EL_SIGNAL, 0);
    ::el_set(editor_, EL_GETCFN, &LineEditor::next_character);
    ::el_set(editor_, EL_ADDFN, "troth-complete", "complete the word", &LineEditor::complete_word);
    ::el_set(editor_, EL_BIND, "^I", "troth-complete", nullptr);
    ::el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  ~LineEditor() override {
    ::history_end(history_);
    ::el_end(editor_);
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  LineRead read(const std::string& prompt) override {
    prompt_ = prompt;
    interrupted_ = false;
    ::el_resize(editor_);
    int count = 0;
    const char* text = ::el_gets(editor_, &count);
    if (interrupted_) {
      std::fputs("^C\n", stdout);
      std::fflush(stdout);
      ::el_reset(editor_);
      return LineInterrupted{};
    }
    if (text == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      std::fflush(stdout);
      return LinesEnded{};
    }
    std::string line(text, static_cast<std::size_t>(count));
    if (line.ends_with('\n')) line.pop_back();
    remember(line);
    return line;
  }

 private:
  static LineEditor& of(EditLine* editor) {
    void* self = nullptr;
    ::el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<LineEditor*>(self);
  }

  static char* prompt_of(EditLine* editor) { return of(editor).prompt_.data(); }

  // 1: a character; 0: the end; -1: interrupted.
  static int next_character(EditLine* editor, wchar_t* character) {
    auto& self = of(editor);
    std::string bytes;
    while (true) {
      char byte = 0;
      const auto count = self.input_.read({&byte, 1});
      if (!count) {
        self.interrupted_ = true;
        errno = EINTR;
        return -1;
      }
      if (*count == 0) return 0;
      bytes += byte;
      const auto lead = static_cast<unsigned char>(bytes[0]);
      const std::size_t expected = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
      if (bytes.size() < expected) continue;
      const auto read = first_character(bytes);
      // What is no character of UTF-8 cannot be kept as one.
      *character = static_cast<wchar_t>(read.valid ? read.code : U'?');
      return 1;
    }
  }

  static unsigned char complete_word(EditLine* editor, int) {
    auto& self = of(editor);
    const LineInfo* line = ::el_line(editor);
    const std::string_view before(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
    const auto completion = self.complete_(before);
    const auto word = before.substr(completion.from);
    const auto common = common_beginning(completion.candidates);
    if (common.size() > word.size()) {
      const auto rest = common.substr(word.size());
      return ::el_insertstr(editor, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }
    if (completion.candidates.size() < 2) return CC_ERROR;
    std::fputc('\n', stdout);
    for (const auto& candidate : completion.candidates)
      std::fprintf(stdout, "%s  ", candidate.c_str());
    std::fputc('\n', stdout);
    std::fflush(stdout);
    return CC_REDISPLAY;
  }

  void remember(const std::string& line) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    if (std::ranges::all_of(line, blank)) return;
    HistEvent event{};
    ::history(history_, &event, H_ENTER, line.c_str());
    file_.append(line);
  }

  Input input_;
  HistoryFile file_;
  Complete complete_;
  std::string prompt_;
  bool interrupted_ = false;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
};

}  // namespace

std::unique_ptr<LineSource> lines_of_terminal(Interrupts& interrupts, const std::string& history_file,
                                              Complete complete) {
  return std::make_unique<LineEditor>(interrupts, history_file, std::move(complete));
}

std::string usual_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/troth/shell_history";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return std::string(home) + "/.local/state/troth/shell_history";
  return {};
}

}  // namespace troth::recovery
