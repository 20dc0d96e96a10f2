// pictures.cpp: see pictures.h.
#include "pictures.h"

#include <algorithm>

namespace slm {

Status Pictures::set(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, std::vector<Shown> wanted) {
  uint32_t end = 0;
  for (uint32_t i = 0; i < wanted.size(); i++) {
    const Shown &s = wanted[i];
    if (s.picture == nullptr || &s.picture->model() != &model)
      return fail(SLM_ERR_INVALID_ARGUMENT, "picture ", i,
                  " was not encoded for this session's model; give one that was");
    const uint32_t n = s.picture->n;
    if (s.at < end)
      return fail(SLM_ERR_INVALID_ARGUMENT, "picture ", i, " begins at position ", s.at,
                  ", where the one before ends at ", end, "; give them in order and apart");
    if (n > n_ctx || s.at > n_ctx - n)
      return fail(SLM_ERR_CONTEXT_FULL, "picture ", i, " takes ", n, " positions from ", s.at, " on, and n_ctx is ",
                  n_ctx, "; choose a larger context or fewer pictures");
    if (n > n_batch && s.picture->sight().whole_picture())
      return fail(SLM_ERR_INVALID_ARGUMENT, "a picture takes ", n, " positions of one evaluation, and n_batch is ",
                  n_batch, "; make a session with a larger one");
    end = s.end();
  }
  wanted_ = std::move(wanted);
  return SLM_OK;
}

uint32_t Pictures::reusable(uint32_t n) const {
  if (wanted_.empty() && cached_.empty()) return n;
  for (size_t i = 0; i < wanted_.size() || i < cached_.size(); i++) {
    if (i < wanted_.size() && i < cached_.size() && wanted_[i].picture == cached_[i].picture &&
        wanted_[i].at == cached_[i].at) {
      // Where it is evaluated whole, so is what is left of the cache.
      if (wanted_[i].picture->sight().whole_picture() && n > wanted_[i].at && n < wanted_[i].end()) n = wanted_[i].at;
      continue;
    }
    if (i < wanted_.size()) n = std::min(n, wanted_[i].at);
    if (i < cached_.size()) n = std::min(n, cached_[i].at);
    break;
  }
  return n < whole_ ? 0 : n;
}

void Pictures::forget(uint32_t n) {
  while (!cached_.empty()) {
    const Shown &last = cached_.back();
    if ((last.picture->sight().whole_picture() ? last.end() : last.at + 1) <= n) break;
    cached_.pop_back();
  }
  if (n < whole_) whole_ = 0;
}

Status Pictures::place(uint32_t past, uint32_t n) {
  rows_.clear(), blocks_.clear(), placing_.clear();
  placing_whole_ = 0;
  const uint32_t end = past + n;
  for (const Shown &s : wanted_) {
    const Sight &sight = s.picture->sight();
    if (sight.whole_prompt && past < s.end() && (past != 0 || s.end() > end))
      return fail(SLM_ERR_INVALID_ARGUMENT,
                  "this model sees a prompt with pictures all at once, and this evaluation has ", "the positions ",
                  past, " to ", end - 1, " alone; evaluate the whole prompt by one call, with n_batch as ", "large");
    if (s.end() <= past || s.at >= end) continue;
    if (sight.whole_picture() && (s.at < past || s.end() > end))
      return fail(SLM_ERR_INVALID_ARGUMENT, "a picture stands at the positions ", s.at, " to ", s.end() - 1,
                  ", and this evaluation has ", past, " to ", end - 1, "; evaluate a picture whole");
    const uint32_t from = std::max(s.at, past), first = from - past;
    rows_.push_back({s.picture->rows, first, std::min(s.end(), end) - from, from - s.at});
    if (s.at >= past) placing_.push_back(s);
    if (sight.whole_prompt)
      placing_whole_ = n;
    else if (sight.both_ways)
      blocks_.push_back({first, first + s.picture->n, true});
  }
  if (placing_whole_ != 0) blocks_.assign(1, {0, n, false});
  return SLM_OK;
}

void Pictures::placed() {
  for (Shown &s : placing_)
    cached_.push_back(std::move(s));
  placing_.clear();
  if (placing_whole_ != 0) whole_ = placing_whole_;
}

} // namespace slm
