// gguf.h: reads the header of a GGUF file (versions 2 and 3): metadata and the
// list of tensors. Owns the distrust of the input: every count, length and
// offset is checked against the bytes that are there before it is used. Knows
// no architecture and never sees tensor data.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "error.h"
#include "generated/tensor_type.h"
#include "hash_index.h"

namespace slm {

/// The value types of the format, by their number in the file.
enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

/// A tensor as the header describes it. The name points into the header.
struct GgufTensor {
  std::string_view name;
  TensorType type;
  uint32_t n_dims; // 1 to 4
  uint64_t ne[4];  // elements per dimension, fastest first; 1 past n_dims
  uint64_t offset; // bytes from the start of the file
  uint64_t size;   // bytes
};

class Gguf {
public:
  // Limits of what a header may ask for, far above any published model's.
  static constexpr uint64_t kMaxHeader = 128u << 20;        // bytes; 262,144 tokens and their merges take 16 MB
  static constexpr uint64_t kMaxMetadata = 1u << 16;        // keys; models have 20 to 60
  static constexpr uint64_t kMaxTensors = 1u << 16;         // the largest mixtures of experts have a few thousand
  static constexpr uint64_t kMaxItems = HashIndex::kMaxIds; // of an array; the most merges so far are 600,000
  static constexpr uint64_t kMaxKeyLength = (1u << 16) - 1; // bytes; the format's own limit
  static constexpr uint64_t kMaxTensorNameLength = 64;      // bytes; the format's own limit
  static constexpr uint64_t kMaxAlignment = 1u << 20;       // bytes; files use 32, or a page of memory

  /// Parses the header from the first bytes of a file and copies it.
  /// SLM_ERR_NEED_MORE when the header goes on past `bytes`, and only then.
  Status parse(std::span<const uint8_t> bytes, uint64_t file_size);

  // Metadata. The getters return false when the key is absent; a key of a
  // wrong type is an error that names it. Integer getters accept every integer
  // type whose value fits; floats must be finite.
  bool has(std::string_view key) const;
  bool is_array(std::string_view key) const;
  Status get(std::string_view key, std::string_view &value, bool &found) const;
  Status get(std::string_view key, uint32_t &value, bool &found) const;
  Status get(std::string_view key, int32_t &value, bool &found) const;
  Status get(std::string_view key, float &value, bool &found) const;
  Status get(std::string_view key, bool &value, bool &found) const;
  Status get(std::string_view key, std::vector<std::string_view> &value, bool &found) const;
  Status get(std::string_view key, std::span<const uint8_t> &value, bool &found) const; // U8 or I8 array
  /// F32 or F64 array; of finite numbers, unless `infinite` ones may be among them.
  Status get(std::string_view key, std::vector<float> &value, bool &found, bool infinite = false) const;
  Status get(std::string_view key, std::vector<int32_t> &value, bool &found) const; // any integer or bool array

  std::span<const GgufTensor> tensors() const { return tensors_; }
  uint64_t data_offset() const { return data_offset_; }

private:
  struct Entry {
    std::string_view key;
    GgufType type;
    GgufType item_type; // of an array
    uint32_t count;     // items of an array, else 1
    uint32_t at;        // of the (first) value in bytes_
  };
  class Reader;

  Status parse_header(std::span<const uint8_t> bytes, uint64_t file_size);
  Status parse_entry(Reader &reader, uint64_t number);
  Status parse_tensor(Reader &reader, uint64_t number, HashIndex &names);
  Status place_tensors(uint64_t header_end, uint64_t file_size);
  Status keep(const uint8_t *bytes, size_t n);

  const Entry *find(std::string_view key) const;
  Status get_integer(std::string_view key, int64_t low, int64_t high, int64_t &value, bool &found) const;

  std::unique_ptr<uint8_t[]> bytes_; // the header, kept for the views into it
  std::vector<Entry> entries_;
  std::vector<GgufTensor> tensors_;
  HashIndex keys_;
  uint64_t data_offset_ = 0;
};

} // namespace slm
