// allocator.cpp: malloc and its family for the wasm builds. Owns the heap
// between __heap_base and the end of linear memory; knows nothing of models.
//
// The libc that comes with the compiler will not do: its allocator has no lock,
// though the threads of a -mt variant share one heap, and it rounds large blocks
// up to a power of two, which would cost a 98 MB model 30 MB. This one splits
// and joins blocks exactly (boundary tags), finds room in lists of similar size,
// and grows the memory by what is missing. Native builds use the system's.
#ifdef __wasm__

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" uint8_t __heap_base;

namespace {

// A block starts 8 bytes below a multiple of 16, so that what it hands out is
// aligned to 16. Its size counts these 8 bytes and is a multiple of 16.
struct Block {
  uint32_t prev_size; // size of the block right before it; 0 at the start of the heap
  uint32_t tag;       // its own size; the lowest bit is set while it is in use
  // While it is free, the space it would hand out links it into a list:
  Block *next;
  Block *prev;

  uint32_t size() const { return tag & ~1u; }
  bool used() const { return tag & 1; }
  uint8_t *payload() { return reinterpret_cast<uint8_t *>(this) + kHeader; }
  Block *after() { return reinterpret_cast<Block *>(reinterpret_cast<uint8_t *>(this) + size()); }
  Block *before() { return reinterpret_cast<Block *>(reinterpret_cast<uint8_t *>(this) - prev_size); }
  static Block *of(void *payload) { return reinterpret_cast<Block *>(static_cast<uint8_t *>(payload) - kHeader); }

  static constexpr uint32_t kHeader = 8;
};

constexpr uint32_t kAlign = 16;
constexpr uint32_t kPage = 65536;
constexpr uint32_t kGrowth = 4;            // pages; the least to ask of the engine at once
constexpr uint32_t kLargest = 0xfffe0000u; // anything above cannot fit, and sums below cannot wrap

// Four lists to every power of two from 16 up. A list holds sizes from its own
// up to the next one's, so any block of a later list is large enough.
constexpr int kLists = 28 * 4;
Block *lists[kLists];
uint64_t list_used[2];
uint32_t heap_end; // where the closing tag stands; 0 before the first allocation

int list_of(uint32_t size) {
  int log = std::bit_width(size) - 1;
  return (log - 4) * 4 + static_cast<int>((size >> (log - 2)) & 3);
}

void link(Block *block) {
  int i = list_of(block->size());
  block->prev = nullptr;
  block->next = lists[i];
  if (block->next) block->next->prev = block;
  lists[i] = block;
  list_used[i >> 6] |= 1ull << (i & 63);
}

void unlink(Block *block) {
  int i = list_of(block->size());
  if (block->next) block->next->prev = block->prev;
  (block->prev ? block->prev->next : lists[i]) = block->next;
  if (!lists[i]) list_used[i >> 6] &= ~(1ull << (i & 63));
}

void set_tag(Block *block, uint32_t size, bool used) {
  block->tag = size | used;
  block->after()->prev_size = size;
}

// Joins a block with its free neighbours and puts it on a list.
void release(Block *block) {
  uint32_t size = block->size();
  if (Block *after = block->after(); !after->used()) {
    unlink(after);
    size += after->size();
  }
  if (block->prev_size && !block->before()->used()) {
    block = block->before();
    unlink(block);
    size += block->size();
  }
  set_tag(block, size, false);
  link(block);
}

// Cuts a used block down to `size` and frees the rest.
void trim(Block *block, uint32_t size) {
  uint32_t rest = block->size() - size;
  if (rest == 0) return;
  set_tag(block, size, true);
  set_tag(block->after(), rest, true);
  release(block->after());
}

// The closing tag: a used block of size 0 behind the last one.
Block *closing() { return reinterpret_cast<Block *>(heap_end); }

// Turns what lies between the closing tag and `end` into a free block.
void extend(uint32_t end) {
  Block *block = closing();
  heap_end = end - Block::kHeader;
  closing()->tag = 1;
  set_tag(block, heap_end - reinterpret_cast<uintptr_t>(block), true);
  release(block);
}

// Makes the block before the closing tag a free one of at least `size` bytes.
bool grow(uint32_t size) {
  uint32_t end = __builtin_wasm_memory_size(0) * kPage;
  if (heap_end == 0) {
    uint32_t base = reinterpret_cast<uintptr_t>(&__heap_base);
    heap_end = ((base + kAlign - 1) & ~(kAlign - 1)) + kAlign - Block::kHeader;
    if (heap_end + 2 * kAlign <= end) extend(end);
  }
  bool joins = closing()->prev_size && !closing()->before()->used();
  uint32_t have = joins ? closing()->prev_size : 0;
  if (have >= size) return true;
  uint32_t least = (size - have + kPage - 1) / kPage;
  uint32_t pages = least < kGrowth ? kGrowth : least;
  if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) {
    pages = least; // the last pages there are may do
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return false;
  }
  extend(end + pages * kPage);
  return true;
}

Block *find(uint32_t size) {
  int i = list_of(size);
  // Its own list may hold blocks that are too small; look at a few, so that a
  // long list does not make allocation slow.
  int tries = 8;
  for (Block *block = lists[i]; block && tries > 0; block = block->next, --tries)
    if (block->size() >= size) return block;
  for (++i; i < kLists; i = (i | 63) + 1)
    if (uint64_t bits = list_used[i >> 6] >> (i & 63)) return lists[i + std::countr_zero(bits)];
  return nullptr;
}

uint32_t block_size(size_t n) { return (static_cast<uint32_t>(n) + Block::kHeader + kAlign - 1) & ~(kAlign - 1); }

Block *take(uint32_t size) {
  Block *block = find(size);
  if (!block) {
    if (!grow(size)) return nullptr;
    block = closing()->before();
  }
  unlink(block);
  set_tag(block, block->size(), true);
  return block;
}

void *allocate(size_t alignment, size_t n) {
  if (n > kLargest || alignment > kLargest - n) return nullptr;
  uint32_t size = block_size(n);
  if (alignment <= kAlign) {
    Block *block = take(size);
    if (!block) return nullptr;
    trim(block, size);
    return block->payload();
  }
  Block *block = take(size + static_cast<uint32_t>(alignment));
  if (!block) return nullptr;
  uintptr_t at = reinterpret_cast<uintptr_t>(block->payload());
  uint32_t gap = static_cast<uint32_t>(((at + alignment - 1) & ~(alignment - 1)) - at);
  if (gap) {
    uint32_t rest = block->size() - gap;
    set_tag(block, gap, true);
    Block *aligned = block->after();
    set_tag(aligned, rest, true);
    release(block);
    block = aligned;
  }
  trim(block, size);
  return block->payload();
}

// One lock for the heap: blocks are taken while a model loads, not per token.
class Lock {
#ifdef __wasm_atomics__
  // 0 free, 1 taken, 2 taken and somebody waits.
  static inline int word;

public:
  Lock() {
    int seen = 0;
    if (__atomic_compare_exchange_n(&word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&word, 2, __ATOMIC_ACQUIRE) != 0)
      __builtin_wasm_memory_atomic_wait32(&word, 2, -1);
  }
  ~Lock() {
    if (__atomic_exchange_n(&word, 0, __ATOMIC_RELEASE) == 2) __builtin_wasm_memory_atomic_notify(&word, 1);
  }
#else
public:
  Lock() {}
#endif
  Lock(const Lock &) = delete;
};

} // namespace

extern "C" {

void *malloc(size_t n) {
  Lock lock;
  return allocate(kAlign, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
  Lock lock;
  return std::has_single_bit(alignment) ? allocate(alignment, n) : nullptr;
}

int posix_memalign(void **out, size_t alignment, size_t n) {
  *out = aligned_alloc(alignment, n);
  return *out ? 0 : 12; // ENOMEM
}

void free(void *p) {
  if (!p) return;
  Lock lock;
  if (!Block::of(p)->used()) __builtin_trap(); // freed twice
  release(Block::of(p));
}

void *calloc(size_t count, size_t n) {
  size_t total;
  if (__builtin_mul_overflow(count, n, &total)) return nullptr;
  Lock lock;
  void *p = allocate(kAlign, total);
  if (p) memset(p, 0, total);
  return p;
}

void *realloc(void *p, size_t n) {
  if (!p) return malloc(n);
  size_t held = Block::of(p)->size() - Block::kHeader;
  if (n <= held) {
    Lock lock;
    trim(Block::of(p), block_size(n));
    return p;
  }
  void *moved = malloc(n);
  if (!moved) return nullptr;
  memcpy(moved, p, held);
  free(p);
  return moved;
}

} // extern "C"

#endif // __wasm__
