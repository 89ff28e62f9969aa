// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/bounded_map.hpp"
#include "registry/digest.hpp"
#include "registry/fate.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/rare_log.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {

/// Whom a repository's registry lets read it.
enum class Audience {
  unknown,
  everybody,  ///< an anonymous client was let in
  some,       ///< an anonymous client was not
};

/// The registry in a repository's name: `docker.io` of `docker.io/library/nginx`.
inline std::string_view registry_of(std::string_view repository) {
  return repository.substr(0, repository.find('/'));
}

/// `not known`, `public`, `private`.
std::string_view to_string(Audience audience);

/// The field of a peer's response that names the repositories, `docker.io/library/nginx`, that the
/// content came from and that aren't for everybody; elements of a list.
inline constexpr std::string_view kPrivateField = "X-Hagring-Private";

/// The field of a peer's response that names the repositories that content which nobody has marked
/// was fetched from, or kNoSource where it is free; elements of a list. A field of its own: nodes
/// that don't know it take such content for free, as they do with their own, where in kPrivateField
/// they would find a mark that only the registry's bytes could take away.
inline constexpr std::string_view kPresumedField = "X-Hagring-Presumed";

/// Its value for content that is free as far as the peer knows: what comes without the field is of
/// an older node, whose silence says nothing.
inline constexpr std::string_view kNoSource = "none";

/// Among repositories: one that couldn't be found out.
inline constexpr std::string_view kUnknownSource = "?";

/// What is known of whom a repository's registry lets read it.
struct Knowledge {
  /// What came of asking it as an anonymous client, within the last minute.
  enum class Inquiry {
    none,
    under_way,
    unreachable,  ///< it can't be asked at all: no way there, no answer, or 5xx
    in_vain,      ///< it answers, but neither yes nor no
  };
  Audience said = Audience::unknown;  ///< what it said last, if not too long ago
  bool believed = false;              ///< and that is recent
  Inquiry inquiry = Inquiry::none;
  bool refused = false;  ///< since then it has turned away a client that had credentials
};

/// What shows that content is of a repository.
enum class Proof {
  answer,  ///< its registry says so: any registry can say that of any digest
  bytes,   ///< its registry has sent the very bytes, or a member of the mesh says that it has
};

/// What is known of which content is private: repositories by what their registry told an anonymous
/// client, content by a mark, the repositories under which it is private, or, where there is none,
/// presumed by where the runtime says that it is from. Repositories are named
/// `registry/repository`. Any thread may use it.
class Privacy {
 public:
  struct Options {
    /// How long a repository counts as public: what it is given once it has been made private is
    /// marked within that time.
    std::chrono::seconds everybody = std::chrono::hours(1);
    /// … as private. One that has been made public meanwhile costs requests to its registry that
    /// were not needed, and fails nothing.
    std::chrono::seconds some = std::chrono::hours(24);
    /// For how long a registry's word that it is for everybody frees what came without a mark,
    /// while it is asked anew.
    std::chrono::seconds public_before = std::chrono::hours(24 * 7);
    /// Between two tries to find out.
    Duration retry = std::chrono::minutes(1);
    /// Begun within that time. Threat: others choose which repositories are asked about.
    std::size_t inquiries = 256;
    std::size_t presumptions = 16UL * 1024;
    std::size_t freed = 64UL * 1024;
    /// Whether peers are members of the mesh, and what they say is free counts.
    bool peers_may_free = true;
    std::size_t repositories = 4096;
    /// A node's store has some thousand. Beyond that marks are lost of the repository that has most
    /// of the registry that has most: nobody can push out the others'.
    std::size_t digests = 64UL * 1024;
    std::size_t repositories_of_a_mark = 8;  ///< then the oldest is dropped
  };
  using Names = std::vector<std::string>;

  explicit Privacy(Clock& clock) : Privacy(clock, Options()) {}
  Privacy(Clock& clock, Options options);

  Audience audience(const std::string& repository) const;
  /// How much longer that is believed.
  Duration believed_for(const std::string& repository) const;
  /// Whether the caller is to find out now; others aren't, until it has or the retry time is over.
  bool begin_inquiry(const std::string& repository);
  /// The inquiry that has begun has ended without an answer that tells.
  void end_inquiry(const std::string& repository, bool unreachable);
  /// The registry has turned away a client that had credentials.
  void note_refusal(const std::string& repository);
  Knowledge knowledge(const std::string& repository) const;
  /// Seals `fate` once, on its executor, when an inquiry ends.
  void watch(std::weak_ptr<Fate> fate);
  /// What an anonymous client was told. Content of a public repository is freed of its mark where
  /// the repository is known to have it, or nothing else is said of it.
  void learn(const std::string& repository, Audience audience);

  /// `digest` is content of `repository`. Marks it, or takes its mark away where the repository is
  /// known to be public. A mere answer changes nothing of what else is known of the content.
  void add(const Digest& digest, const std::string& repository, Proof proof = Proof::bytes);
  /// `digest` may be private, nobody has said where: marks it without a name.
  void add_unknown(const Digest& digest);
  /// Whether a yes of `repository`'s registry to a reader counts for `digest`: it isn't marked, or
  /// there is proof that it is the repository's, or nobody else claims it.
  /// Threat: whoever runs a registry could say yes for what others keep private.
  bool vouches(const std::string& repository, const Digest& digest) const;
  /// Content that nobody has proven to be of a repository was fetched from these, as the runtime
  /// says; kUnknownSource stands for what couldn't be found out. Replaces what was said before.
  /// Once all of them are known to be for some only, the content is marked.
  /// Threat: the runtime says so of content that it had already, too, when an image that shares it
  /// is pulled. Whoever has a node do that has got the content by it; elsewhere it frees nothing,
  /// since each registry that is named must have a say.
  void presume(const Digest& digest, const Names& repositories);
  /// The same in the form of kPresumedField.
  void presume_field(const Digest& digest, std::string_view field);
  /// Empty when nothing was said.
  Names presumed(const Digest& digest) const;
  /// `digest` came from a peer and is free: the runtime will label it with the repository that it
  /// was asked for under, which may never have had it. Kept over a restart.
  void note_free(const Digest& digest);
  bool came_free(const Digest& digest) const;

  /// Takes over a mark that came with content, in the form of kPrivateField, unless one of its
  /// repositories is known to be public. What can't be read marks the content too.
  void add_field(const Digest& digest, std::string_view field);
  void clear(const Digest& digest);

  /// The repositories under which `digest` is private; nullopt when it isn't.
  std::optional<Names> mark(const Digest& digest);
  /// The same for people: `a.test/x, b.test/y`.
  static std::string field(const Names& names);
  /// Whether `digest` is marked, and for the bytes of a repository.
  bool proven(const Digest& digest) const;
  /// The mark as kPrivateField's value: a `?` before a repository that there is no proof for.
  /// Empty when there is none.
  std::string field_of(const Digest& digest) const;

  struct Totals {
    std::size_t private_repositories = 0;
    std::size_t public_repositories = 0;
    std::size_t marked = 0;
    std::size_t presumed = 0;  ///< of what was asked for lately
  };
  Totals totals() const;
  /// Content that is marked with `repository`.
  std::size_t marked(const std::string& repository) const;

  /// All of it as text, to be kept over a restart; nullopt when nothing has changed since the last
  /// call.
  std::optional<std::string> take_changed();
  /// Adds what take_changed() gave. Errors: Errc::bad_message, and then nothing is added.
  Result<void> restore(std::string_view text);

 private:
  struct Known {
    Audience audience = Audience::unknown;
    WallTime until{};
    WallTime kept_until{};  ///< what take_changed() has given last, about
    TimePoint retry_at{};
    Knowledge::Inquiry inquiry = Knowledge::Inquiry::none;
    bool refused = false;
  };
  struct Claim {
    std::string repository{};
    Proof proof = Proof::answer;
  };
  struct Mark {
    std::vector<Claim> claims{};
    bool unknown = false;  ///< it may be of a repository that isn't named

    Claim* find(const std::string& repository);
    const Claim* find(const std::string& repository) const;
    /// Whether nobody but `repository` claims the content.
    bool only(const std::string& repository) const;
    /// Whose the mark is, where marks are counted.
    std::string holder() const;
  };

  std::vector<Digest> digests_of(const std::string& repository) const;
  Audience audience_now(const std::string& repository) const;
  bool add_to(Mark& mark, const Claim& claim) const;
  bool add_mark(const Digest& digest, const Mark& from);
  Knowledge knowledge_now(const std::string& repository) const;
  bool is_for_all(const Names& repositories, std::string_view except_registry) const;
  void mark_if_kept(const Digest& digest, const Names& repositories);
  void mark_presumed(const std::string& repository);
  void wake();
  void make_room();
  static std::vector<std::string> words(const Mark& mark);
  static bool read_word(std::string_view word, Mark& into);
  struct Kept;
  static std::string text(const Kept& kept);
  static Result<void> read_line(std::string_view line, Kept& into);

  Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;
  BoundedMap<std::string, Known> repositories_;
  BoundedMap<Digest, Mark> marks_;
  BoundedMap<Digest, Names> presumed_;
  BoundedMap<Digest, bool> freed_;
  std::deque<TimePoint> begun_;  ///< inquiries, within the retry time
  std::vector<std::weak_ptr<Fate>> watchers_;
  bool changed_ = false;
  RareLog log_;
};

}  // namespace hagring::registry
