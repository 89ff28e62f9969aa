// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/bounded_map.hpp"
#include "registry/digest.hpp"
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

/// `not known`, `public`, `private`.
std::string_view to_string(Audience audience);

/// The field of a peer's response that names the repositories, `docker.io/library/nginx`, that the
/// content came from and that aren't for everybody; elements of a list.
inline constexpr std::string_view kPrivateField = "X-Hagring-Private";

/// What shows that content is of a repository.
enum class Proof {
  answer,  ///< its registry says so: any registry can say that of any digest
  bytes,   ///< its registry has sent the very bytes, or a member of the mesh says that it has
};

/// What is known of which content is private: repositories by what their registry told an anonymous
/// client, content by a mark, the repositories under which it is private. Repositories are named
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
    /// Between two tries to find out.
    Duration retry = std::chrono::minutes(1);
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
  /// Takes over a mark that came with content, in the form of kPrivateField, unless one of its
  /// repositories is known to be public. What can't be read marks the content too.
  void add_field(const Digest& digest, std::string_view field);
  void clear(const Digest& digest);

  /// The repositories under which `digest` is private; nullopt when it isn't.
  std::optional<Names> mark(const Digest& digest);
  /// The same for people: `a.test/x, b.test/y`.
  static std::string field(const Names& names);
  /// The mark as kPrivateField's value: a `?` before a repository that there is no proof for.
  /// Empty when there is none.
  std::string field_of(const Digest& digest) const;

  struct Totals {
    std::size_t private_repositories = 0;
    std::size_t public_repositories = 0;
    std::size_t marked = 0;
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
  bool changed_ = false;
  RareLog log_;
};

}  // namespace hagring::registry
