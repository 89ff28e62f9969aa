// SPDX-License-Identifier: Apache-2.0
// What Privacy knows as text: a line a repository (`R public 1767225600 docker.io/library/nginx`,
// the time in seconds since 1970 until which it is believed) and a line a mark (`D sha256:…
// docker.io/acme/app ?ghcr.io/acme/app`: the second without proof, and a mere `?` for one that
// isn't named), one for content that came free from a peer (`F sha256:…`), the oldest first, and
// the SHA-256 of all of them at the end.
#include <fmt/format.h>

#include <charconv>

#include "registry/privacy.hpp"
#include "registry/reference.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::registry {
namespace {

constexpr std::string_view kHead = "hagring-private 1\n";
constexpr std::string_view kEnd = "end ";

using Seconds = std::chrono::seconds;

std::string_view take_word(std::string_view& line) {
  const auto space = line.find(' ');
  const auto word = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return word;
}

std::optional<WallTime> time_of(std::string_view word) {
  std::int64_t seconds = 0;
  const auto* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, seconds);
  constexpr std::int64_t kLatest = 9'000'000'000;  // year 2255: nanoseconds in 64 bits hold it
  if (error != std::errc() || stop != end || seconds < 0 || seconds > kLatest) return std::nullopt;
  return WallTime(Seconds(seconds));
}

bool is_name(std::string_view name) {
  const auto reference = Reference::parse(name);
  return reference && !reference->tag && !reference->digest;
}

}  // namespace

/// What a text says.
struct Privacy::Kept {
  std::vector<std::pair<std::string, Known>> repositories{};
  std::vector<std::pair<Digest, Mark>> marks{};
  std::vector<Digest> freed{};
};

std::optional<std::string> Privacy::take_changed() {
  Kept kept;
  {
    // Data threads wait for this lock: copies only, to be written out and hashed afterwards.
    const std::lock_guard lock(mutex_);
    if (!std::exchange(changed_, false)) return std::nullopt;
    kept.repositories.assign(repositories_.begin(), repositories_.end());
    kept.marks.assign(marks_.begin(), marks_.end());
    for (const auto& [digest, freed] : freed_) kept.freed.push_back(digest);
  }
  return text(kept);
}

std::string Privacy::text(const Kept& kept) {
  std::string all(kHead);
  for (const auto& [repository, known] : kept.repositories) {
    if (known.audience == Audience::unknown) continue;
    const auto until = std::chrono::floor<Seconds>(known.until.time_since_epoch()).count();
    fmt::format_to(std::back_inserter(all), "R {} {} {}\n", to_string(known.audience), until,
                   repository);
  }
  for (const auto& [digest, mark] : kept.marks) {
    fmt::format_to(std::back_inserter(all), "D {} {}\n", digest.to_string(),
                   fmt::join(words(mark), " "));
  }
  for (const auto& digest : kept.freed) {
    fmt::format_to(std::back_inserter(all), "F {}\n", digest.to_string());
  }
  return all + std::string(kEnd) + to_hex(sha256(as_bytes(all))) + "\n";
}

std::vector<std::string> Privacy::words(const Mark& mark) {
  std::vector<std::string> words;
  for (const auto& claim : mark.claims) {
    words.push_back((claim.proof == Proof::bytes ? "" : "?") + claim.repository);
  }
  // Not none even if no repository is known: the field itself is the mark.
  if (mark.unknown || words.empty()) words.emplace_back("?");
  return words;
}

/// Whether `word` is one that words() makes.
bool Privacy::read_word(std::string_view word, Mark& into) {
  if (word == "?") {
    into.unknown = true;
    return true;
  }
  const bool proven = !word.starts_with('?');
  const auto name = word.substr(proven ? 0 : 1);
  if (!is_name(name)) return false;
  into.claims.push_back(
      {.repository = std::string(name), .proof = proven ? Proof::bytes : Proof::answer});
  return true;
}

Result<void> Privacy::restore(std::string_view text) {
  const auto end = text.rfind(kEnd);
  if (!text.starts_with(kHead) || end == std::string_view::npos || !text.ends_with('\n')) {
    return Errc::bad_message;
  }
  auto body = text.substr(0, end);
  const auto sum = text.substr(end + kEnd.size(), text.size() - end - kEnd.size() - 1);
  if (sum != to_hex(sha256(as_bytes(body)))) return Errc::bad_message;
  Kept kept;
  for (body.remove_prefix(kHead.size()); !body.empty();) {
    const auto line = body.substr(0, body.find('\n'));
    if (line.size() == body.size()) return Errc::bad_message;
    CHECK_OK(read_line(line, kept));
    body.remove_prefix(line.size() + 1);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [name, known] : kept.repositories) {
    auto& own = repositories_.touch(name);
    if (own.audience != Audience::unknown && own.until >= known.until) continue;
    own.audience = known.audience;
    own.until = own.kept_until = known.until;
  }
  for (const auto& digest : kept.freed) freed_.touch(digest) = true;
  for (const auto& [digest, mark] : kept.marks) add_mark(digest, mark);
  return {};
}

Result<void> Privacy::read_line(std::string_view line, Kept& into) {
  const auto kind = take_word(line);
  if (kind == "R") {
    const auto word = take_word(line);
    const auto audience = word == "public" ? Audience::everybody : Audience::some;
    const auto until = time_of(take_word(line));
    if (word != to_string(audience) || !until || !is_name(line)) return Errc::bad_message;
    into.repositories.emplace_back(line, Known{.audience = audience, .until = *until});
    return {};
  }
  auto digest = Digest::parse(take_word(line));
  if (kind == "F" && digest && line.empty()) {
    into.freed.push_back(*std::move(digest));
    return {};
  }
  if (kind != "D" || !digest) return Errc::bad_message;
  Mark mark;
  while (!line.empty()) {
    if (!read_word(take_word(line), mark)) return Errc::bad_message;
  }
  mark.unknown = mark.unknown || mark.claims.empty();
  into.marks.emplace_back(*std::move(digest), std::move(mark));
  return {};
}

}  // namespace hagring::registry
