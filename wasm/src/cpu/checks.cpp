// checks.cpp: the CPU has none; see ../checks.h.
#include "../checks.h"

#include <limits>

namespace slm {

struct Checks::Case {};
struct Checks::Running {};

Checks::Checks(const LoadedModel &model) : weights_(model.weights()), f16_cache_(model.f16_cache()) {}
Checks::Checks(const Vision &vision) : weights_(vision.weights()), f16_cache_(vision.f16_cache()) {}
Checks::~Checks() = default;
uint32_t Checks::count() const { return 0; }
const char *Checks::name(uint32_t) { return nullptr; }
Status Checks::start(uint32_t) { return SLM_OK; }
double Checks::error() { return std::numeric_limits<double>::infinity(); }
double Checks::bound() { return 0; }

} // namespace slm
