// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/privacy_keeper.hpp"

#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {
namespace {

constexpr std::string_view kPart = "privacy";
constexpr auto kBetweenWritings = std::chrono::milliseconds(250);
constexpr auto kBetweenLooks = std::chrono::seconds(1);
/// Streams have 10 s to end (NodeAgent).
constexpr auto kPredecessorsEnd = std::chrono::seconds(30);
/// 64 Ki marks (Privacy::Options) of eight repositories with names of 255 bytes each, and 64 Ki
/// digests.
constexpr std::size_t kMaxSize = std::size_t{170} << 20;

}  // namespace

PrivacyKeeper::PrivacyKeeper(registry::Privacy& privacy, Clock& clock, std::filesystem::path path,
                             bool succeeds)
    : privacy_(privacy),
      clock_(clock),
      file_(std::move(path), "marks of private content", std::string(kPart), kMaxSize) {
  if (succeeds) alone_at_ = clock.now() + kPredecessorsEnd;
  load();
}

void PrivacyKeeper::load() {
  const auto kept = file_.load();
  if (!kept && kept.error() == Errc::not_found) return;
  const auto restored = kept ? privacy_.restore(as_text(*kept)) : Result<void>(kept.error());
  if (restored) return;
  log::warning(kPart,
               "{}: what the last run knew of private content can't be read ({}): what the content "
               "store has is presumed private by where containerd says that it is from, until its "
               "registry has been asked; authorize=strict in a --rule asks it for each read",
               file_.path().string(), restored.error().message());
}

awaitable<void> PrivacyKeeper::run() {
  auto look_at = clock_.now();
  while (!co_await asked_to_stop()) {
    // The predecessor writes the same file: what it has added is kept, whoever writes last.
    if (alone_at_ && clock_.now() >= look_at) {
      load();
      look_at = clock_.now() + kBetweenLooks;
      if (clock_.now() > *alone_at_) alone_at_.reset();
    }
    save();
    co_await clock_.sleep_for(kBetweenWritings);
  }
}

void PrivacyKeeper::save() {
  if (const auto text = privacy_.take_changed()) file_.save(Bytes(text->begin(), text->end()));
}

void PrivacyKeeper::finish() {
  save();
  file_.finish();
}

std::filesystem::path privacy_file(const Config& config) {
  return std::filesystem::path(config.state_dir) / "private";
}

}  // namespace hagring::agent
