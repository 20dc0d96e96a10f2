// runtime.cpp: what the C++ library would otherwise bring along. Owns the ends
// that a program without exceptions, files or a console can come to; without it
// the library's own printing of a failed check imports WASI and costs 20 KB.
// Native builds (sanitizers, fuzzing) keep the library's own.
#ifdef __wasm__

#include <__verbose_abort>

_LIBCPP_BEGIN_NAMESPACE_STD

// Reached when the library would throw (std::vector out of memory): there is
// nobody to tell, and the host sees the trap.
[[noreturn]] void __libcpp_verbose_abort(const char *, ...) noexcept { __builtin_trap(); }

_LIBCPP_END_NAMESPACE_STD

// The library's own would print the fact before it stops.
extern "C" [[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }

// Reached by a call of a pure virtual function and by a static that needs itself
// while it is being made.
extern "C" [[noreturn]] void __abort_message(const char *, ...) { __builtin_trap(); }

#endif // __wasm__
