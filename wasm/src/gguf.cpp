// gguf.cpp: see gguf.h. The header is parsed where the host put it and copied
// only when it is whole; all positions are checked by Reader, which alone
// decides whether more bytes could help (NEED_MORE) or not (BAD_FILE).
#include "gguf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

namespace slm {

static_assert(std::endian::native == std::endian::little, "values are read as they lie in the file");

namespace {

constexpr uint32_t kMagic = 0x46554747; // "GGUF"
constexpr uint32_t kDefaultAlignment = 32;

// What the smallest key with a value and the smallest tensor take, to bound
// their numbers: length + key + type + value; length + name + n_dims + one
// dimension + type + offset.
constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

struct ValueType {
  const char *name;
  uint32_t size; // bytes; of a string or an array: its least
};

constexpr ValueType kValueTypes[] = {{"U8", 1},  {"I8", 1},  {"U16", 2},  {"I16", 2},    {"U32", 4},
                                     {"I32", 4}, {"F32", 4}, {"Bool", 1}, {"String", 8}, {"Array", 12},
                                     {"U64", 8}, {"I64", 8}, {"F64", 8}};
constexpr uint32_t kValueTypeCount = std::size(kValueTypes);

const ValueType &value_type(GgufType type) { return kValueTypes[static_cast<uint32_t>(type)]; }

template <class T> T load(const uint8_t *p) {
  T value;
  memcpy(&value, p, sizeof value);
  return value;
}

bool is_integer(GgufType type) {
  return type != GgufType::F32 && type != GgufType::F64 && type != GgufType::String && type != GgufType::Array;
}

/// An integer of any type; `fits` is false past INT64_MAX.
int64_t load_integer(GgufType type, const uint8_t *p, bool &fits) {
  fits = true;
  switch (type) {
  case GgufType::U8:
  case GgufType::Bool:
    return *p;
  case GgufType::I8:
    return load<int8_t>(p);
  case GgufType::U16:
    return load<uint16_t>(p);
  case GgufType::I16:
    return load<int16_t>(p);
  case GgufType::U32:
    return load<uint32_t>(p);
  case GgufType::I32:
    return load<int32_t>(p);
  default: {
    const int64_t value = load<int64_t>(p);
    fits = type == GgufType::I64 || value >= 0;
    return value;
  }
  }
}

float load_float(GgufType type, const uint8_t *p) {
  return type == GgufType::F64 ? static_cast<float>(load<double>(p)) : load<float>(p);
}

} // namespace

/// Reads on from the start of the header; `what` and `name` (or `number`) say
/// what is being read, for the sentence when it is not there.
class Gguf::Reader {
public:
  Reader(std::span<const uint8_t> bytes, uint64_t file_size)
      : data_(bytes.data()), size_(bytes.size()), file_size_(file_size) {}

  void expect(const char *what, std::string_view name) { what_ = what, name_ = name, named_ = true; }
  void expect(const char *what, uint64_t number) { what_ = what, number_ = number, named_ = false; }

  size_t at() const { return at_; }
  const uint8_t *data() const { return data_ + at_; }
  uint64_t left_in_file() const { return file_size_ - at_; }

  Status need(uint64_t n) const { return n <= size_ - at_ ? SLM_OK : shortage(n); }

  Status skip(uint64_t n) {
    SLM_TRY(need(n));
    at_ += static_cast<size_t>(n);
    return SLM_OK;
  }

  template <class T> Status read(T &value) {
    SLM_TRY(need(sizeof value));
    value = load<T>(data());
    at_ += sizeof value;
    return SLM_OK;
  }

  Status read_string(std::string_view &value) {
    uint64_t length;
    SLM_TRY(read(length));
    SLM_TRY(need(length));
    value = {reinterpret_cast<const char *>(data()), static_cast<size_t>(length)};
    at_ += value.size();
    return SLM_OK;
  }

  /// A string with a limit of its own, checked before more bytes are asked for.
  Status read_name(std::string_view &value, uint64_t limit) {
    SLM_TRY(need(8));
    if (const uint64_t length = load<uint64_t>(data()); length == 0 || length > limit)
      return fail(SLM_ERR_BAD_FILE, what_, " ", number_, " is ", length, " bytes long; expected 1 to ", limit,
                  "; the file is damaged, fetch or convert it again");
    return read_string(value);
  }

private:
  Status shortage(uint64_t n) const {
    error_clear();
    error_append(what_);
    error_append(" ");
    if (named_) {
      error_append("'");
      error_append(name_);
      error_append("'");
    } else {
      error_append(number_);
    }
    error_append(" takes ");
    error_append(n);
    error_append(" bytes from byte ");
    error_append(at_);
    if (n > file_size_ - at_) {
      error_append(", but the file ends at ");
      error_append(file_size_);
      error_append("; it is damaged or was cut short, fetch it again");
      return SLM_ERR_BAD_FILE;
    }
    if (n > kMaxHeader - at_) {
      error_append(", but a header may take at most ");
      error_append(kMaxHeader);
      error_append("; the file is damaged, fetch or convert it again");
      return SLM_ERR_BAD_FILE;
    }
    error_append(", but only ");
    error_append(size_);
    error_append(" bytes were given; give more");
    return SLM_ERR_NEED_MORE;
  }

  const uint8_t *data_;
  size_t size_;
  uint64_t file_size_;
  size_t at_ = 0;
  const char *what_ = "";
  std::string_view name_;
  uint64_t number_ = 0;
  bool named_ = false;
};

Status Gguf::parse(std::span<const uint8_t> bytes, uint64_t file_size) {
  *this = Gguf();
  const Status status = parse_header(
      bytes.first(static_cast<size_t>(std::min<uint64_t>({bytes.size(), file_size, kMaxHeader}))), file_size);
  if (status != SLM_OK) *this = Gguf();
  return status;
}

Status Gguf::parse_header(std::span<const uint8_t> bytes, uint64_t file_size) {
  Reader reader(bytes, file_size);

  uint32_t magic, version;
  reader.expect("the magic number of GGUF version", 3);
  SLM_TRY(reader.read(magic));
  if (magic != kMagic)
    return fail(SLM_ERR_BAD_FILE, "expected a file that starts with 'GGUF', found '",
                std::string_view(reinterpret_cast<const char *>(bytes.data()), 4), "'; give a GGUF model");
  reader.expect("the header of GGUF version", 3);
  SLM_TRY(reader.read(version));
  if ((version & 0xFFFF) == 0 && version != 0)
    return fail(SLM_ERR_UNSUPPORTED, "the file is big-endian GGUF (version field ", version,
                "), expected little-endian; convert it with gguf-convert-endian");
  if (version != 2 && version != 3)
    return fail(SLM_ERR_UNSUPPORTED, "the file is GGUF version ", version,
                ", expected 2 or 3; convert the model again with current tools");

  uint64_t n_tensors, n_entries;
  SLM_TRY(reader.read(n_tensors));
  SLM_TRY(reader.read(n_entries));
  const auto check_count = [&](const char *what, uint64_t n, uint64_t limit, uint64_t min_bytes) {
    if (n > limit || n > reader.left_in_file() / min_bytes)
      return fail(SLM_ERR_BAD_FILE, "the ", what, " count is ", n, "; expected at most ",
                  std::min(limit, reader.left_in_file() / min_bytes), " in a file of ", file_size,
                  " bytes; the file is damaged, fetch it again");
    return SLM_OK;
  };
  SLM_TRY(check_count("tensor", n_tensors, kMaxTensors, kMinTensorBytes));
  SLM_TRY(check_count("metadata", n_entries, kMaxMetadata, kMinEntryBytes));

  keys_.reset(static_cast<size_t>(n_entries));
  for (uint64_t i = 0; i < n_entries; ++i)
    SLM_TRY(parse_entry(reader, i));
  HashIndex names;
  names.reset(static_cast<size_t>(n_tensors));
  for (uint64_t i = 0; i < n_tensors; ++i)
    SLM_TRY(parse_tensor(reader, i, names));
  SLM_TRY(keep(bytes.data(), reader.at()));
  return place_tensors(reader.at(), file_size);
}

Status Gguf::parse_entry(Reader &reader, uint64_t number) {
  Entry entry{};
  reader.expect("the key of metadata entry", number);
  SLM_TRY(reader.read_name(entry.key, kMaxKeyLength));

  const auto read_type = [&](GgufType &type) {
    uint32_t id;
    SLM_TRY(reader.read(id));
    if (id >= kValueTypeCount)
      return fail(SLM_ERR_BAD_FILE, "metadata key '", entry.key, "' has value type ", id, "; expected 0 to ",
                  kValueTypeCount - 1, "; the file is damaged, fetch or convert it again");
    type = static_cast<GgufType>(id);
    return SLM_OK;
  };
  reader.expect("metadata key", entry.key);
  SLM_TRY(read_type(entry.type));

  uint64_t count = 1;
  GgufType item_type = entry.type;
  if (entry.type == GgufType::Array) {
    SLM_TRY(read_type(item_type));
    SLM_TRY(reader.read(count));
    if (item_type == GgufType::Array)
      return fail(SLM_ERR_UNSUPPORTED, "metadata key '", entry.key,
                  "' is an array of arrays; expected one of plain values; convert the model again without this key");
    const uint64_t limit = std::min(kMaxItems, reader.left_in_file() / value_type(item_type).size);
    if (count > limit)
      return fail(SLM_ERR_BAD_FILE, "metadata key '", entry.key, "' is an array of ", count,
                  " items; expected at most ", limit, "; the file is damaged, fetch it again");
  }
  entry.item_type = item_type;
  entry.count = static_cast<uint32_t>(count);
  entry.at = static_cast<uint32_t>(reader.at());

  if (item_type == GgufType::String) {
    for (std::string_view text; count > 0; --count)
      SLM_TRY(reader.read_string(text));
  } else {
    SLM_TRY(reader.need(count * value_type(item_type).size));
    if (item_type == GgufType::Bool)
      for (uint64_t i = 0; i < count; ++i)
        if (reader.data()[i] > 1)
          return fail(SLM_ERR_BAD_FILE, "metadata key '", entry.key, "' has a Bool of ", reader.data()[i],
                      "; expected 0 or 1; the file is damaged, fetch or convert it again");
    SLM_TRY(reader.skip(count * value_type(item_type).size));
  }

  entries_.push_back(entry);
  switch (keys_.add(static_cast<uint32_t>(number), hash_bytes(entry.key),
                    [&](uint32_t i) { return entries_[i].key == entry.key; })) {
  case HashIndex::Added::Yes:
    return SLM_OK;
  case HashIndex::Added::Duplicate:
    return fail(SLM_ERR_BAD_FILE, "metadata key '", entry.key,
                "' occurs twice; expected each key once; convert the model again");
  default:
    return fail(SLM_ERR_BAD_FILE, "metadata key '", entry.key,
                "' has the same hash as hundreds of others; expected keys of a real model; fetch the file again");
  }
}

Status Gguf::parse_tensor(Reader &reader, uint64_t number, HashIndex &names) {
  GgufTensor tensor{{}, {}, 0, {1, 1, 1, 1}, 0, 0};
  reader.expect("the name of tensor", number);
  SLM_TRY(reader.read_name(tensor.name, kMaxTensorNameLength));
  reader.expect("the description of tensor", tensor.name);
  SLM_TRY(reader.read(tensor.n_dims));
  if (tensor.n_dims < 1 || tensor.n_dims > 4)
    return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name, "' has ", tensor.n_dims,
                " dimensions; expected 1 to 4; the file is damaged, fetch or convert it again");
  for (uint32_t i = 0; i < tensor.n_dims; ++i) {
    SLM_TRY(reader.read(tensor.ne[i]));
    if (tensor.ne[i] == 0)
      return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name, "' has 0 elements in dimension ", i,
                  "; expected at least 1; the file is damaged, fetch or convert it again");
  }

  uint32_t type_id;
  SLM_TRY(reader.read(type_id));
  SLM_TRY(reader.read(tensor.offset));
  const TensorTypeInfo *type = tensor_type_info(type_id);
  if (!type) {
    const Status status = fail(SLM_ERR_UNSUPPORTED, "tensor '", tensor.name, "' has type number ", type_id,
                               ", which this core cannot read; quantize the model again to one of");
    for (const TensorTypeInfo &info : kTensorTypes) {
      error_append(" ");
      error_append(info.name);
    }
    return status;
  }
  tensor.type = type->type;
  if (tensor.ne[0] % type->block_size != 0)
    return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name, "' has rows of ", tensor.ne[0], " elements; ", type->name,
                " needs a multiple of ", type->block_size, "; fetch or quantize the model again");

  bool overflow = __builtin_mul_overflow(tensor.ne[0] / type->block_size, uint64_t{type->block_bytes}, &tensor.size);
  for (uint32_t i = 1; i < 4; ++i)
    overflow |= __builtin_mul_overflow(tensor.size, tensor.ne[i], &tensor.size);
  if (overflow)
    return fail(SLM_ERR_BAD_FILE, "the dimensions of tensor '", tensor.name, "' (", tensor.ne[0], " x ", tensor.ne[1],
                " x ", tensor.ne[2], " x ", tensor.ne[3],
                ") exceed any file; it is damaged, fetch or convert it again");

  tensors_.push_back(tensor);
  switch (names.add(static_cast<uint32_t>(number), hash_bytes(tensor.name),
                    [&](uint32_t i) { return tensors_[i].name == tensor.name; })) {
  case HashIndex::Added::Yes:
    return SLM_OK;
  case HashIndex::Added::Duplicate:
    return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name,
                "' occurs twice; expected each name once; convert the model again");
  default:
    return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name,
                "' has the same hash as hundreds of others; expected names of a real model; fetch the file again");
  }
}

/// Turns offsets within the data section into offsets within the file.
Status Gguf::place_tensors(uint64_t header_end, uint64_t file_size) {
  uint32_t alignment = kDefaultAlignment;
  bool found;
  SLM_TRY(get("general.alignment", alignment, found));
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'general.alignment' is ", alignment, "; expected a power of two up to ",
                kMaxAlignment, "; convert the model again");
  data_offset_ = (header_end + alignment - 1) & ~(uint64_t{alignment} - 1);

  const uint64_t data_size = file_size > data_offset_ ? file_size - data_offset_ : 0;
  uint64_t unclaimed = data_size;
  for (GgufTensor &tensor : tensors_) {
    if (tensor.offset % alignment != 0)
      return fail(SLM_ERR_BAD_FILE, "the offset of tensor '", tensor.name, "' is ", tensor.offset,
                  "; expected a multiple of the alignment ", alignment, "; convert the model again");
    if (tensor.offset > data_size || tensor.size > data_size - tensor.offset)
      return fail(SLM_ERR_BAD_FILE, "tensor '", tensor.name, "' takes ", tensor.size, " bytes at offset ",
                  tensor.offset, " of the data, which is ", data_size,
                  " bytes long; the file is damaged or was cut short, fetch it again");
    // Overlapping tensors would let a small file ask for any amount of memory.
    if (tensor.size > unclaimed)
      return fail(SLM_ERR_BAD_FILE, "the tensors up to '", tensor.name, "' together exceed the data's ", data_size,
                  " bytes, so some overlap; the file is damaged, fetch or convert it again");
    unclaimed -= tensor.size;
    tensor.offset += data_offset_;
  }
  return SLM_OK;
}

/// Copies the header and turns every view into one of the copy.
Status Gguf::keep(const uint8_t *bytes, size_t n) {
  bytes_.reset(new (std::nothrow) uint8_t[n]);
  if (!bytes_)
    return fail(SLM_ERR_OUT_OF_MEMORY, "the header takes ", n,
                " bytes, which could not be allocated; close other tabs or use a smaller model");
  memcpy(bytes_.get(), bytes, n);
  const auto rebase = [&](std::string_view &view) {
    const size_t at = static_cast<size_t>(reinterpret_cast<const uint8_t *>(view.data()) - bytes);
    view = {reinterpret_cast<const char *>(bytes_.get() + at), view.size()};
  };
  for (Entry &entry : entries_)
    rebase(entry.key);
  for (GgufTensor &tensor : tensors_)
    rebase(tensor.name);
  return SLM_OK;
}

const Gguf::Entry *Gguf::find(std::string_view key) const {
  const uint32_t i = keys_.find(hash_bytes(key), [&](uint32_t id) { return entries_[id].key == key; });
  return i == HashIndex::kNone ? nullptr : &entries_[i];
}

bool Gguf::has(std::string_view key) const { return find(key) != nullptr; }
bool Gguf::is_array(std::string_view key) const {
  const Entry *entry = find(key);
  return entry != nullptr && entry->type == GgufType::Array;
}

namespace {

/// The sentence for a key whose value is not what the model needs.
Status wrong_type(std::string_view key, GgufType type, GgufType item_type, const char *expected) {
  const bool array = type == GgufType::Array;
  return fail(SLM_ERR_BAD_FILE, "metadata key '", key, "' is ", array ? "an array of " : "of type ",
              value_type(item_type).name, "; expected ", expected, "; convert the model again");
}

Status not_finite(std::string_view key) {
  return fail(SLM_ERR_BAD_FILE, "metadata key '", key,
              "' holds an infinity or a NaN; expected finite numbers; convert the model again");
}

} // namespace

Status Gguf::get(std::string_view key, std::string_view &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::String) return wrong_type(key, entry->type, entry->item_type, "a string");
  const uint8_t *p = bytes_.get() + entry->at;
  value = {reinterpret_cast<const char *>(p + 8), static_cast<size_t>(load<uint64_t>(p))};
  return SLM_OK;
}

Status Gguf::get_integer(std::string_view key, int64_t low, int64_t high, int64_t &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (!is_integer(entry->type)) return wrong_type(key, entry->type, entry->item_type, "an integer");
  bool fits;
  value = load_integer(entry->type, bytes_.get() + entry->at, fits);
  if (fits && value >= low && value <= high) return SLM_OK;
  const Status status = fail(SLM_ERR_BAD_FILE, "metadata key '", key, "' is ");
  if (fits)
    error_append(value);
  else
    error_append(static_cast<uint64_t>(value));
  error_append("; expected ");
  error_append(low);
  error_append(" to ");
  error_append(high);
  error_append("; convert the model again");
  return status;
}

Status Gguf::get(std::string_view key, uint32_t &value, bool &found) const {
  int64_t integer = 0;
  SLM_TRY(get_integer(key, 0, UINT32_MAX, integer, found));
  if (found) value = static_cast<uint32_t>(integer);
  return SLM_OK;
}

Status Gguf::get(std::string_view key, int32_t &value, bool &found) const {
  int64_t integer = 0;
  SLM_TRY(get_integer(key, INT32_MIN, INT32_MAX, integer, found));
  if (found) value = static_cast<int32_t>(integer);
  return SLM_OK;
}

Status Gguf::get(std::string_view key, bool &value, bool &found) const {
  int64_t integer = 0;
  SLM_TRY(get_integer(key, 0, 1, integer, found));
  if (found) value = integer != 0;
  return SLM_OK;
}

Status Gguf::get(std::string_view key, float &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::F32 && entry->type != GgufType::F64)
    return wrong_type(key, entry->type, entry->item_type, "F32 or F64");
  value = load_float(entry->type, bytes_.get() + entry->at);
  return std::isfinite(value) ? SLM_OK : not_finite(key);
}

Status Gguf::get(std::string_view key, std::vector<std::string_view> &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::Array || entry->item_type != GgufType::String)
    return wrong_type(key, entry->type, entry->item_type, "an array of strings");
  value.resize(entry->count);
  const uint8_t *p = bytes_.get() + entry->at;
  for (std::string_view &item : value) {
    item = {reinterpret_cast<const char *>(p + 8), static_cast<size_t>(load<uint64_t>(p))};
    p += 8 + item.size();
  }
  return SLM_OK;
}

Status Gguf::get(std::string_view key, std::span<const uint8_t> &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::Array || value_type(entry->item_type).size != 1 || !is_integer(entry->item_type))
    return wrong_type(key, entry->type, entry->item_type, "an array of bytes");
  value = {bytes_.get() + entry->at, entry->count};
  return SLM_OK;
}

Status Gguf::get(std::string_view key, std::vector<float> &value, bool &found, bool infinite) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::Array || (entry->item_type != GgufType::F32 && entry->item_type != GgufType::F64))
    return wrong_type(key, entry->type, entry->item_type, "an array of F32 or F64");
  value.resize(entry->count);
  const uint8_t *p = bytes_.get() + entry->at;
  for (float &item : value) {
    item = load_float(entry->item_type, p);
    if (infinite ? std::isnan(item) : !std::isfinite(item)) return not_finite(key);
    p += value_type(entry->item_type).size;
  }
  return SLM_OK;
}

Status Gguf::get(std::string_view key, std::vector<int32_t> &value, bool &found) const {
  const Entry *entry = find(key);
  found = entry != nullptr;
  if (!found) return SLM_OK;
  if (entry->type != GgufType::Array || !is_integer(entry->item_type))
    return wrong_type(key, entry->type, entry->item_type, "an array of integers");
  value.resize(entry->count);
  const uint8_t *p = bytes_.get() + entry->at;
  for (int32_t &item : value) {
    bool fits;
    const int64_t integer = load_integer(entry->item_type, p, fits);
    if (!fits || integer < INT32_MIN || integer > INT32_MAX)
      return fail(SLM_ERR_BAD_FILE, "metadata key '", key,
                  "' holds a number past 32 bits; expected int32 items; convert the model again");
    item = static_cast<int32_t>(integer);
    p += value_type(entry->item_type).size;
  }
  return SLM_OK;
}

} // namespace slm
