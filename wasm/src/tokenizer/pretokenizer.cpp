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
  bool is_upper(size_t i) const { return is(CharClass::Upper, i); }
  bool is_lower(size_t i) const { return is(CharClass::Lower, i); }
  /// One that has no case.
  bool is_plain(size_t i) const { return is(CharClass::Letter, i); }
  bool is_letter(size_t i) const { return is_plain(i) || is_upper(i) || is_lower(i); }
  bool is_number(size_t i) const { return is(CharClass::Number, i); }
  bool is_mark(size_t i) const { return is(CharClass::Mark, i); }
  bool is_space(size_t i) const { return is(CharClass::Space, i); }
  bool is_newline(size_t i) const { return code(i) == '\r' || code(i) == '\n'; }
  bool is_digit(size_t i) const { return code(i) - '0' < 10; }
  /// [^\s\p{L}\p{N}]
  bool is_other(size_t i) const { return !ends(i) && !is_space(i) && !is_letter(i) && !is_number(i); }

private:
  Chars chars_;
};

/// The piece at the start of a text that is cut at the matches of an expression: a match, whose length
/// `match` gives (0: there is none), or what stands before the next one.
template <class Match> size_t cut_at(const Text &text, const Match &match) {
  if (const size_t n = match(0)) return n;
  size_t i = 1;
  while (!text.ends(i) && match(i) == 0)
    ++i;
  return i;
}

using Ranges = std::span<const uint32_t[2]>;

bool in_ranges(Ranges ranges, uint32_t code) {
  for (const auto &range : ranges)
    if (code >= range[0] && code <= range[1]) return true;
  return false;
}

template <class Holds> size_t skip_while(size_t i, const Holds &holds) {
  while (holds(i))
    ++i;
  return i;
}

/// 's|'t|'re|'ve|'m|'ll|'d at `at`: the length, or 0.
size_t contraction(const Text &text, bool ignore_case, size_t at = 0) {
  if (text.code(at) != '\'') return 0;
  const auto letter = [&](size_t i) {
    const uint32_t code = text.code(at + i);
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

/// \s*[\r\n]+|\s+(?!\S)|\s+
size_t line_end_or_space(const Text &text) {
  const size_t run = skip_while(0, [&](size_t i) { return text.is_space(i); });
  for (size_t i = run; i > 0; --i)
    if (text.is_newline(i - 1)) return i;
  return white_space(text, run);
}

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
/// With kMarks marks go with letters: [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+.
template <size_t kMaxDigits, bool kMarks = false> size_t llama3_word(Chars chars) {
  const Text text(chars);
  if (const size_t n = contraction(text, true)) return n;

  const auto in_word = [&](size_t i) { return text.is_letter(i) || (kMarks && text.is_mark(i)); };
  const auto is_other = [&](size_t i) { return text.is_other(i) && !(kMarks && text.is_mark(i)); };
  const bool takes_letter = !text.is_newline(0) && !in_word(0) && !text.is_number(0);
  if (in_word(takes_letter)) return skip_while(takes_letter, in_word);
  if (text.is_number(0)) return skip_while(0, [&](size_t i) { return i < kMaxDigits && text.is_number(i); });

  const size_t start = text.code(0) == ' ';
  if (is_other(start)) {
    const size_t end = skip_while(start, is_other);
    return skip_while(end, [&](size_t i) { return text.is_newline(i); });
  }

  return line_end_or_space(text);
}

/// Of o200k and Tekken, which end a word where a small letter is followed by a capital:
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ and
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*, each with a contraction behind it
/// where kContractions says so, |\p{N}{1,kMaxDigits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <size_t kMaxDigits, bool kContractions> size_t cased_word(Chars chars) {
  const Text text(chars);
  const auto either = [&](size_t i) { return text.is_plain(i) || text.is_mark(i); };
  const auto large = [&](size_t i) { return text.is_upper(i) || either(i); };
  const auto small = [&](size_t i) { return text.is_lower(i) || either(i); };
  const auto ended = [&](size_t end) { return end + (kContractions ? contraction(text, true, end) : 0); };
  const bool takes_other = !text.ends(0) && !text.is_newline(0) && !text.is_letter(0) && !text.is_number(0);
  /// The first expression's match whose letters begin at `start`, or 0.
  const auto with_small = [&](size_t start) {
    const size_t end = skip_while(start, large);
    if (text.is_lower(end)) return skip_while(end, small);
    // What may be either is given back.
    for (size_t i = end; i > start; --i)
      if (either(i - 1)) return i;
    return size_t{0};
  };
  for (size_t start : {size_t{takes_other}, size_t{0}})
    if (const size_t end = with_small(start)) return ended(end);
  if (const size_t end = skip_while(size_t{takes_other}, large); end > takes_other) return ended(end);
  if (text.is_number(0)) return skip_while(0, [&](size_t i) { return i < kMaxDigits && text.is_number(i); });
  const size_t start = text.code(0) == ' ';
  if (text.is_other(start)) {
    const size_t end = skip_while(start, [&](size_t i) { return text.is_other(i); });
    return skip_while(end, [&](size_t i) { return text.is_newline(i) || text.code(i) == '/'; });
  }
  return line_end_or_space(text);
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

/// [\p{P}\$\+<=>\^~\|]+, with kBacktick ` too
template <bool kBacktick = false> size_t punctuation_runs(Chars chars) {
  const Text text(chars);
  const auto matches = [&](size_t i) {
    if (text.is(CharClass::Punctuation, i)) return true;
    const uint32_t code = text.code(i);
    const std::string_view signs = kBacktick ? "$+<=>^~|`" : "$+<=>^~|";
    return code < 0x80 && signs.find(static_cast<char>(code)) != std::string_view::npos;
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

/// [\r\n]
size_t newlines(Chars chars) {
  const Text text(chars);
  return cut_at(text, [&](size_t i) { return size_t{text.is_newline(i)}; });
}

/// \s?X+ of what `holds` says is an X.
template <class Holds> size_t spaced_runs(const Text &text, const Holds &holds) {
  return cut_at(text, [&](size_t i) {
    const size_t start = i + text.is_space(i);
    if (holds(i)) return skip_while(i, holds) - i;
    return start > i && holds(start) ? skip_while(start, holds) - i : 0;
  });
}

/// \s?\p{L}+
size_t spaced_letters(Chars chars) {
  const Text text(chars);
  return spaced_runs(text, [&](size_t i) { return text.is_letter(i); });
}

/// \s?\p{P}+
size_t spaced_punctuation(Chars chars) {
  const Text text(chars);
  return spaced_runs(text, [&](size_t i) { return text.is(CharClass::Punctuation, i); });
}

/// [一-龥ࠀ-一가-퟿]+
size_t ideograph_runs(Chars chars) {
  const Text text(chars);
  constexpr uint32_t kRanges[][2] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};
  const auto holds = [&](size_t i) { return in_ranges(kRanges, text.code(i)); };
  return cut_at(text, [&](size_t i) { return skip_while(i, holds) - i; });
}

/// \s?[A-Za-zµÀ-Ö...]+: letters that have a case, as of the Unicode of its makers
size_t deepseek_letters(Chars chars) {
  const Text text(chars);
  constexpr uint32_t kRanges[][2] = {
      {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
      {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
      {0x376, 0x376},     {0x377, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},
      {0x388, 0x38A},     {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},
      {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
      {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},
      {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},
      {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},
      {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
      {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},
      {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},
      {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},
      {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2183},   {0x2184, 0x2184},
      {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF2},   {0x2CF3, 0x2CF3},
      {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
      {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
      {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
      {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};
  return spaced_runs(text, [&](size_t i) { return in_ranges(kRanges, text.code(i)); });
}

/// \s?[!-/:-~！-／：-～‘-‟　-。]+
size_t deepseek_punctuation(Chars chars) {
  const Text text(chars);
  constexpr uint32_t kRanges[][2] = {{0x21, 0x2F},     {0x3A, 0x7E},     {0xFF01, 0xFF0F},
                                     {0xFF1A, 0xFF5E}, {0x2018, 0x201F}, {0x3000, 0x3002}};
  return spaced_runs(text, [&](size_t i) { return in_ranges(kRanges, text.code(i)); });
}

/// \s+$
size_t last_white_space(Chars chars) {
  const Text text(chars);
  size_t begin = chars.size();
  while (begin > 0 && text.is_space(begin - 1))
    --begin;
  return begin == 0 ? chars.size() : begin;
}

/// [^\n]+|[\n]+
size_t line_break_runs(Chars chars) {
  const Text text(chars);
  const bool breaks = text.code(0) == '\n';
  return skip_while(0, [&](size_t i) { return !text.ends(i) && (text.code(i) == '\n') == breaks; });
}

constexpr Splitter kGpt2[] = {gpt2_word};
constexpr Splitter kSmolLM[] = {single_numbers, gpt2_word};
constexpr Splitter kLlama3[] = {llama3_word<3>};
constexpr Splitter kQwen2[] = {llama3_word<1>};
constexpr Splitter kO200k[] = {cased_word<3, true>};
constexpr Splitter kTekken[] = {cased_word<1, false>};
constexpr Splitter kQwen35[] = {llama3_word<1, true>};
constexpr Splitter kGemma4[] = {line_break_runs};
constexpr Splitter kFalcon[] = {punctuation_runs<true>, gpt2_word, three_digits};
constexpr Splitter kDeepseekCoder[] = {newlines, spaced_letters, spaced_punctuation, ideograph_runs, single_numbers};
constexpr Splitter kDeepseekLlm[] = {newlines,         deepseek_letters, deepseek_punctuation,
                                     last_white_space, ideograph_runs,   number_runs};
constexpr Splitter kDefault[] = {punctuation_runs, gpt2_word, number_runs, three_digits};

// llama.cpp's names for these expressions, those of models that we can run.
constexpr Pretokenizer kPretokenizers[] = {
    {"default", kDefault, false, false},
    {"gpt-2", kGpt2, false, false},
    {"phi-2", kGpt2, false, false},
    {"olmo", kGpt2, false, false},
    {"mellum", kGpt2, false, false},
    {"smollm", kSmolLM, false, false},
    {"starcoder", kSmolLM, false, false},
    {"refact", kSmolLM, false, false},
    {"codeshell", kSmolLM, false, false},
    {"llama-bpe", kLlama3, true, true},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"smaug-bpe", kLlama3, false, false},
    {"dbrx", kLlama3, false, false},
    {"qwen2", kQwen2, false, false},
    {"deepseek-r1-qwen", kQwen2, false, false},
    {"megrez", kQwen2, false, false},
    {"qwen35", kQwen35, false, false},
    {"gpt-4o", kO200k, false, false},
    {"tekken", kTekken, true, true},
    {"gemma4", kGemma4, false, true},
    {"mpt", kGpt2, false, false},
    {"command-r", kSmolLM, false, false},
    {"falcon", kFalcon, false, false},
    {"deepseek-coder", kDeepseekCoder, false, false},
    {"deepseek-llm", kDeepseekLlm, false, false},
};

} // namespace

const Pretokenizer *find_pretokenizer(std::string_view name) {
  for (const Pretokenizer &pretokenizer : kPretokenizers)
    if (pretokenizer.name == name) return &pretokenizer;
  return nullptr;
}

} // namespace slm
