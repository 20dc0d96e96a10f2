// vocabulary.cpp: see vocabulary.h. The lists of names are facts about models
// in circulation, as llama.cpp knows them: their files mark such tokens wrongly
// or not at all.
#include "vocabulary.h"

#include <algorithm>
#include <initializer_list>

namespace slm {

static_assert(static_cast<int32_t>(HashIndex::kNone) == -1, "find() returns the index's answer");

namespace {

using Names = std::string_view;

constexpr Names kEndOfTurn[] = {"<|eot_id|>",        "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
                                "<|end_of_text|>",   "<EOT>",      "_<EOT>",  "[EOT]",         "<｜end▁of▁sentence｜>",
                                "<end_of_utterance>"};
constexpr Names kEndOfMessage[] = {"<|eom_id|>"};
constexpr Names kFillPrefix[] = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<｜fim▁begin｜>",
                                 "<PRE>",          "▁<PRE>",       "<|code_prefix|>", "<|prefix|>"};
constexpr Names kFillSuffix[] = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<｜fim▁hole｜>",
                                 "<SUF>",          "▁<SUF>",       "<|code_suffix|>", "<|suffix|>"};
constexpr Names kFillMiddle[] = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<｜fim▁end｜>",
                                 "<MID>",          "▁<MID>",       "<|code_middle|>", "<|middle|>"};
constexpr Names kFillPadding[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr Names kFillRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
                                     "<REPO>",       "<reponame>",    "<repo_name>"};
constexpr Names kFillSeparator[] = {"<|file_sep|>", "<|file_separator|>", "<file_sep>"};

constexpr Names kEndOfGeneration[] = {"<|eot_id|>",
                                      "<|im_end|>",
                                      "<|end|>",
                                      "<|return|>",
                                      "<|call|>",
                                      "<|flush|>",
                                      "<|calls|>",
                                      "<end_of_turn>",
                                      "<|endoftext|>",
                                      "</s>",
                                      "<|eom_id|>",
                                      "<EOT>",
                                      "_<EOT>",
                                      "[EOT]",
                                      "[EOS]",
                                      "<|end_of_text|>",
                                      "<end_of_utterance>",
                                      "<eos>",
                                      "<turn|>",
                                      "<|tool_response>",
                                      "<｜end▁of▁sentence｜>",
                                      "[e~["};

// Structure that is always shown (gpt-oss).
constexpr Names kAlwaysShown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

uint8_t attribute_of_type(int32_t type) {
  switch (type) {
  case 1:
    return kTokenNormal;
  case 2:
    return kTokenUnknown;
  case 3:
    return kTokenControl;
  case 4:
    return kTokenUserDefined;
  case 5:
    return kTokenUnused;
  case 6:
    return kTokenByte;
  default:
    return 0;
  }
}

} // namespace

Status Vocabulary::read(const Gguf &gguf, const Defaults &defaults) {
  SLM_TRY(read_texts(gguf));
  SLM_TRY(read_attributes(gguf));

  const auto default_id = [&](int32_t id) { return contains(id) ? id : -1; };
  bos = default_id(defaults.bos);
  eos = default_id(defaults.eos);
  unknown = default_id(defaults.unknown);
  add_bos = defaults.add_bos;
  add_eos = defaults.add_eos;
  bool found;
  SLM_TRY(read_id(gguf, "tokenizer.ggml.bos_token_id", bos));
  SLM_TRY(read_id(gguf, "tokenizer.ggml.eos_token_id", eos));
  SLM_TRY(read_id(gguf, "tokenizer.ggml.unknown_token_id", unknown));
  if (defaults.encloses) {
    SLM_TRY(read_id(gguf, "tokenizer.ggml.cls_token_id", bos));
    SLM_TRY(read_id(gguf, "tokenizer.ggml.seperator_token_id", eos)); // spelled like this
    add_eos = true;
  }
  SLM_TRY(gguf.get("tokenizer.ggml.add_bos_token", add_bos, found));
  SLM_TRY(gguf.get("tokenizer.ggml.add_eos_token", add_eos, found));
  SLM_TRY(find_special(gguf));
  return mark_stripping(gguf);
}

Status Vocabulary::read_texts(const Gguf &gguf) {
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.tokens", texts_, found));
  if (texts_.empty())
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.tokens' is ", found ? "empty" : "missing",
                "; expected the model's vocabulary; convert the model again");
  index_.reset(texts_.size());
  for (uint32_t id = 0; id < texts_.size(); ++id) {
    const std::string_view text = texts_[id];
    if (text.empty()) continue; // a hole: nothing is spelled like it
    longest_ = std::max(longest_, text.size());
    switch (index_.add(id, hash_bytes(text), [&](uint32_t other) { return texts_[other] == text; })) {
    case HashIndex::Added::Yes:
      break;
    case HashIndex::Added::Duplicate:
      return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.tokens' has the text '", text,
                  "' twice, the second time at ", id, "; expected each token once; convert the model again");
    default:
      return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.tokens' has at ", id,
                  " the hash of hundreds of others; expected a real vocabulary; fetch the file again");
    }
  }
  return SLM_OK;
}

Status Vocabulary::read_attributes(const Gguf &gguf) {
  std::vector<int32_t> types;
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.token_type", types, found));
  if (found && types.size() < texts_.size())
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.token_type' has ", types.size(), " items; expected ",
                texts_.size(), ", one for each token; convert the model again");
  attributes_.assign(texts_.size(), kTokenNormal);
  if (found)
    for (size_t id = 0; id < texts_.size(); ++id)
      attributes_[id] = attribute_of_type(types[id]);
  return SLM_OK;
}

Status Vocabulary::read_id(const Gguf &gguf, std::string_view key, int32_t &id) const {
  uint32_t value = 0;
  bool found;
  SLM_TRY(gguf.get(key, value, found));
  if (!found || value == UINT32_MAX) return SLM_OK; // some converters write -1 for "none"
  if (value >= size())
    return fail(SLM_ERR_BAD_FILE, "metadata key '", key, "' is ", value, "; expected a token below ", size(),
                "; convert the model again");
  id = static_cast<int32_t>(value);
  return SLM_OK;
}

int32_t Vocabulary::find_any(std::span<const std::string_view> names) const {
  for (const std::string_view name : names)
    if (const int32_t id = find(name); id >= 0) return id;
  return -1;
}

Status Vocabulary::find_special(const Gguf &gguf) {
  // By key, else by name; a token found by name is a control token.
  const auto by_key_or_name = [&](std::string_view key, std::span<const std::string_view> names, int32_t &id) {
    id = -1;
    SLM_TRY(read_id(gguf, key, id));
    if (id >= 0) return SLM_OK;
    id = find_any(names);
    if (id >= 0) attributes_[static_cast<uint32_t>(id)] |= kTokenControl;
    return SLM_OK;
  };
  int32_t eom;
  SLM_TRY(by_key_or_name("tokenizer.ggml.eot_token_id", kEndOfTurn, eot));
  SLM_TRY(by_key_or_name("tokenizer.ggml.eom_token_id", kEndOfMessage, eom));

  // The names of the keys have changed; files of both times are in circulation.
  const auto fill_token = [&](std::string_view key, std::string_view former, std::span<const std::string_view> names,
                              int32_t &id) {
    id = -1;
    for (const std::string_view one : {former, key}) {
      SLM_TRY(read_id(gguf, one, id));
      // Every Gemma 1 has CodeGemma's ids in its keys, whether or not its vocabulary has the tokens.
      if (id >= 0 && text(id).starts_with("<unused")) id = -1;
    }
    if (id < 0) id = find_any(names);
    // By key as well: in a text that is to be completed it must be text.
    if (id >= 0) attributes_[static_cast<uint32_t>(id)] |= kTokenControl;
    return SLM_OK;
  };
#define KEY(name) "tokenizer.ggml." name "_token_id"
  SLM_TRY(fill_token(KEY("fim_pre"), KEY("prefix"), kFillPrefix, fill.prefix));
  SLM_TRY(fill_token(KEY("fim_suf"), KEY("suffix"), kFillSuffix, fill.suffix));
  SLM_TRY(fill_token(KEY("fim_mid"), KEY("middle"), kFillMiddle, fill.middle));
  SLM_TRY(fill_token(KEY("fim_sep"), KEY("fsep"), kFillSeparator, fill.separator));
  SLM_TRY(fill_token(KEY("fim_rep"), "", kFillRepository, fill.repository));
  SLM_TRY(fill_token(KEY("fim_pad"), "", kFillPadding, fill.padding));
#undef KEY
  // llama.cpp goes on after the first three, but a model that writes one has nothing more to say.
  find_end_of_generation(
      {fill.prefix, fill.suffix, fill.middle, fill.separator, fill.repository, fill.padding, eos, eot, eom});
  return SLM_OK;
}

void Vocabulary::find_end_of_generation(std::initializer_list<int32_t> ids) {
  eog.clear();
  const auto add = [&](int32_t id) {
    const auto at = std::lower_bound(eog.begin(), eog.end(), id);
    if (id >= 0 && (at == eog.end() || *at != id)) eog.insert(at, id);
  };
  for (const int32_t id : ids)
    add(id);
  for (const std::string_view name : kEndOfGeneration) {
    const int32_t id = find(name);
    if (id < 0) continue;
    add(id);
    attributes_[static_cast<uint32_t>(id)] |= kTokenControl;
  }
  for (const std::string_view name : kAlwaysShown)
    if (const int32_t id = find(name); id >= 0) attributes_[static_cast<uint32_t>(id)] = kTokenUserDefined;

  // Two names that mean something else beside certain others.
  const auto ends = [&](std::string_view name) {
    const int32_t id = find(name);
    return id >= 0 && std::binary_search(eog.begin(), eog.end(), id);
  };
  const auto is_no_end = [&](std::string_view name, uint8_t attribute) {
    if (!ends(name)) return;
    const int32_t id = find(name);
    std::erase(eog, id);
    attributes_[static_cast<uint32_t>(id)] = attribute;
  };
  const bool call = ends("<|call|>") || ends("<|calls|>");
  if (call && (ends("<|return|>") || ends("<|flush|>"))) is_no_end("<|end|>", kTokenUserDefined);
  if (ends("<|tool_response>") || ends("<|plamo:eos|>")) is_no_end("</s>", kTokenNormal);
}

/// Phi-3's special tokens swallow the white space after them; its files do not
/// say so, and llama.cpp goes by the model's name.
Status Vocabulary::mark_stripping(const Gguf &gguf) {
  std::string_view model_name;
  bool found;
  SLM_TRY(gguf.get("general.name", model_name, found));
  const auto names_phi3 = [](std::string_view text) {
    if (text.size() < 4 || (text[0] | 0x20) != 'p' || (text[1] | 0x20) != 'h' || (text[2] | 0x20) != 'i') return false;
    return text[3] == '3' || (text[3] == '-' && text.size() > 4 && text[4] == '3');
  };
  bool phi3 = false;
  for (size_t i = 0; i < model_name.size(); ++i)
    phi3 |= names_phi3(model_name.substr(i));
  if (!phi3) return SLM_OK;
  for (uint32_t id = 0; id < size(); ++id) {
    const std::string_view text = texts_[id];
    if (text == "<unk>" || text == "<s>" || text == "<|endoftext|>") continue;
    if (text == "</s>" || attributes_[id] & (kTokenControl | kTokenUserDefined | kTokenUnknown))
      attributes_[id] |= kTokenStripsRight;
  }
  return SLM_OK;
}

} // namespace slm
