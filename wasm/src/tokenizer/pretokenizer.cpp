// pretokenizer.cpp: see pretokenizer.h. The expressions stand above their
// scanners. Where a backtracking engine would give back a character, that is
// only ever the last white space of a run (`\s+(?!\S)`), so no scanner needs to
// look back further than that.
#include "pretokenizer.h"

namespace slm {

namespace {

/// Reads of the text that may lie past its end.
class Text {
public:
  explicit Text(Chars chars) : chars_(chars) {}

  bool ends(size_t i) const { return i >= chars_.size(); }
  uint32_t code(size_t i) const { return ends(i) ? UINT32_MAX : chars_[i].code; }
  bool is(CharClass kind, size_t i) const { return !ends(i) && chars_[i].kind == kind; }
  bool is_letter(size_t i) const { return is(CharClass::Letter, i); }
  bool is_number(size_t i) const { return is(CharClass::Number, i); }
  bool is_space(size_t i) const { return is(CharClass::Space, i); }
  bool is_newline(size_t i) const { return code(i) == '\r' || code(i) == '\n'; }
  bool is_digit(size_t i) const { return code(i) - '0' < 10; }
  /// [^\s\p{L}\p{N}]
  bool is_other(size_t i) const { return !ends(i) && !is_space(i) && !is_letter(i) && !is_number(i); }

private:
  Chars chars_;
};

template <class Holds> size_t skip_while(size_t i, const Holds &holds) {
  while (holds(i))
    ++i;
  return i;
}

/// 's|'t|'re|'ve|'m|'ll|'d: the length, or 0.
size_t contraction(const Text &text, bool ignore_case) {
  if (text.code(0) != '\'') return 0;
  const auto letter = [&](size_t i) {
    const uint32_t code = text.code(i);
    return ignore_case && code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
  };
  switch (letter(1)) {
  case 's':
  case 't':
  case 'm':
  case 'd':
    return 2;
  case 'r':
  case 'v':
    return letter(2) == 'e' ? 3 : 0;
  case 'l':
    return letter(2) == 'l' ? 3 : 0;
  default:
    return 0;
  }
}

/// \s+(?!\S)|\s+: all of the run at the end of the text; before anything else
/// but its last character, which goes with what follows.
size_t white_space(const Text &text, size_t run) { return run > 1 && !text.ends(run) ? run - 1 : run; }

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t gpt2_word(Chars chars) {
  const Text text(chars);
  if (const size_t n = contraction(text, false)) return n;
  const size_t start = text.code(0) == ' ';
  if (text.is_letter(start)) return skip_while(start, [&](size_t i) { return text.is_letter(i); });
  if (text.is_number(start)) return skip_while(start, [&](size_t i) { return text.is_number(i); });
  if (text.is_other(start)) return skip_while(start, [&](size_t i) { return text.is_other(i); });
  return white_space(text, skip_while(0, [&](size_t i) { return text.is_space(i); }));
}

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kMaxDigits}|
///  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <size_t kMaxDigits> size_t llama3_word(Chars chars) {
  const Text text(chars);
  if (const size_t n = contraction(text, true)) return n;

  const bool takes_letter = !text.is_newline(0) && !text.is_letter(0) && !text.is_number(0);
  if (text.is_letter(takes_letter)) return skip_while(takes_letter, [&](size_t i) { return text.is_letter(i); });
  if (text.is_number(0)) return skip_while(0, [&](size_t i) { return i < kMaxDigits && text.is_number(i); });

  const size_t start = text.code(0) == ' ';
  if (text.is_other(start)) {
    const size_t end = skip_while(start, [&](size_t i) { return text.is_other(i); });
    return skip_while(end, [&](size_t i) { return text.is_newline(i); });
  }

  const size_t run = skip_while(0, [&](size_t i) { return text.is_space(i); });
  for (size_t i = run; i > 0; --i)
    if (text.is_newline(i - 1)) return i;
  return white_space(text, run);
}

/// \p{N}
size_t single_numbers(Chars chars) {
  const Text text(chars);
  if (text.is_number(0)) return 1;
  return skip_while(0, [&](size_t i) { return !text.ends(i) && !text.is_number(i); });
}

/// \p{N}+
size_t number_runs(Chars chars) {
  const Text text(chars);
  const bool number = text.is_number(0);
  return skip_while(0, [&](size_t i) { return !text.ends(i) && text.is_number(i) == number; });
}

/// [\p{P}\$\+<=>\^~\|]+
size_t punctuation_runs(Chars chars) {
  const Text text(chars);
  const auto matches = [&](size_t i) {
    if (text.is(CharClass::Punctuation, i)) return true;
    const uint32_t code = text.code(i);
    return code < 0x80 && std::string_view("$+<=>^~|").find(static_cast<char>(code)) != std::string_view::npos;
  };
  const bool punctuation = matches(0);
  return skip_while(0, [&](size_t i) { return !text.ends(i) && matches(i) == punctuation; });
}

/// [0-9][0-9][0-9]
size_t three_digits(Chars chars) {
  const Text text(chars);
  const auto matches = [&](size_t i) { return text.is_digit(i) && text.is_digit(i + 1) && text.is_digit(i + 2); };
  if (matches(0)) return 3;
  return skip_while(0, [&](size_t i) { return !text.ends(i) && !matches(i); });
}

constexpr Splitter kGpt2[] = {gpt2_word};
constexpr Splitter kSmolLM[] = {single_numbers, gpt2_word};
constexpr Splitter kLlama3[] = {llama3_word<3>};
constexpr Splitter kQwen2[] = {llama3_word<1>};
constexpr Splitter kDefault[] = {punctuation_runs, gpt2_word, number_runs, three_digits};

// llama.cpp's names for these expressions, those of models that we can run.
constexpr Pretokenizer kPretokenizers[] = {
    {"default", kDefault, false, false},  {"gpt-2", kGpt2, false, false},
    {"phi-2", kGpt2, false, false},       {"olmo", kGpt2, false, false},
    {"mellum", kGpt2, false, false},      {"smollm", kSmolLM, false, false},
    {"starcoder", kSmolLM, false, false}, {"refact", kSmolLM, false, false},
    {"codeshell", kSmolLM, false, false}, {"llama-bpe", kLlama3, true, true},
    {"llama3", kLlama3, true, true},      {"llama-v3", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},     {"smaug-bpe", kLlama3, false, false},
    {"qwen2", kQwen2, false, false},      {"deepseek-r1-qwen", kQwen2, false, false},
    {"megrez", kQwen2, false, false},
};

} // namespace

const Pretokenizer *find_pretokenizer(std::string_view name) {
  for (const Pretokenizer &pretokenizer : kPretokenizers)
    if (pretokenizer.name == name) return &pretokenizer;
  return nullptr;
}

} // namespace slm
