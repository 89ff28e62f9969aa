// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "registry/content_stream.hpp"
#include "registry/herd/batch.hpp"
#include "registry/herd/data_frame.hpp"
#include "registry/herd/member.hpp"
#include "registry/herd/spool.hpp"
#include "registry/mirror.hpp"

namespace hagring::herd {

class Herds;

/// What one of this node's own clients is to do.
enum class Advice : std::uint8_t {
  fetch,    ///< ask the origin, and feed the herd with its answer
  stream,   ///< read the shared source
  holder,   ///< get it from a node that has it
  limited,  ///< tell it that the origin limits requests, for Party::limited()
  alone,    ///< go on as if there were no herd
};

/// A child that wants a stripe, between its connection's thread and the party's.
struct Child {
  enum class State : std::uint8_t { asking, accepted, refused, dropped };
  NodeId node;
  Stripe stripe = 0;
  std::atomic<State> state = State::asking;
};

/// How a client's request is sent to the origin once more, for a part; owns all it refers to. Its
/// seat's, and gone with it: nothing is asked for in the name of who has left.
using Again = std::shared_ptr<const registry::Continuation>;

/// One blob's herd as this node takes part in it: carries out what its Member says, moves pieces
/// from parents and from the origin into the spool. Lives on one data thread, its home, that of the
/// client that asked first; where that is said, functions may be called on any thread.
class Party : public std::enable_shared_from_this<Party> {
 public:
  struct About {
    HerdId id;
    registry::ContentRequest request;  ///< for parents; a blob unless `facts.whole`
    MemberFacts facts;
    Again again;  ///< of the client that asks first; with `facts.ahead` there is none
  };
  Party(Herds& herds, registry::MirrorParts& parts, asio::any_io_executor home, About about);
  ~Party();

  /// Takes part until nothing is to be done any more, or cancelled. Once.
  awaitable<void> run(std::vector<NodeId> coordinators);

  // On any thread:
  const HerdId& id() const { return id_; }
  const registry::ContentRequest& request() const { return request_; }
  /// Whether nobody is given any of it before it is all there.
  bool whole() const { return whole_; }
  const asio::any_io_executor& home() const { return home_; }
  /// Runs `work` at home, later; not at all once the party is over.
  void post(std::function<void(Party&)> work);
  Bell& bell() { return bell_; }
  /// Null until a source has told the size.
  std::shared_ptr<Spool> spool() const;
  bool ended() const { return ended_; }
  /// Those that have signed what has come from other nodes (Ledger::signers), by Peer::key().
  std::vector<std::string> heads() const;
  bool origin_contributed() const { return from_origin_; }
  /// Whether a client of this node has a seat.
  bool attended() const { return attended_; }
  /// Whether none has had one so far (registry/herd/ahead.hpp).
  bool ahead() const { return ahead_; }
  /// For a client of the thread `home`: false, it can take a seat. Else this is over, and has told
  /// nobody: what a client fetches lives on the client's thread, and nothing has come here yet.
  bool gives_way(const asio::any_io_executor& home);

  // For its seats (registry/herd/seat.hpp), on any thread:
  /// Waits for advice. `at_home`: this client's answer from the origin may feed the herd.
  awaitable<Advice> advice(TimePoint end, bool at_home);
  std::optional<registry::Peer> holder() const;
  Duration limited() const { return limited_; }

  // At home:
  void receive(const NodeId& from, const Body& body);
  void coordinator_lost(const NodeId& node);
  /// `again`: null for a client of another thread, whose origin is that thread's.
  void sit(Again again);
  void leave(const Again& again);
  /// Without a client it stays for a while after the last time that it was said to be of use.
  void keep_ahead() { wanted_ = now(); }
  /// The origin's answer to an advice to fetch: the whole content. Takes it, if it is still wanted
  /// and can be shared: `exchange` is empty then.
  std::shared_ptr<Spool> feed(std::optional<registry::Exchange>& exchange, std::uint64_t size);
  void origin_refused(bool denied);
  void origin_limited(Duration lasts);
  /// The origin's answer is of a form that can't be shared (coded, of no known length).
  void not_shareable();
  void holder_failed();
  /// A client has all of it, verified. `kept`: it is among the finished spools already.
  /// `from_spool`: all that it has came from the spool; else that is verified by itself.
  void finished(bool kept, bool from_spool);
  /// What is in the spool isn't what the digest says.
  void corrupt();
  /// The same of content that came from the spool in part.
  void doubt();
  void child_asks(const std::shared_ptr<Child>& child);
  void child_left(const std::shared_ptr<Child>& child);

  // For the status page, on any thread:
  std::string role() const;
  std::size_t children() const { return child_count_; }

 private:
  /// Something under way that can be stopped.
  struct Activity {
    bool stopped = false;
    TaskGroup* tasks = nullptr;
    NodeId node = {};
    bool lied = false;  ///< it has sent what only itself can have made or damaged

    void stop() {
      stopped = true;
      if (tasks != nullptr) tasks->cancel();
    }
  };
  using Work = std::function<awaitable<void>(std::shared_ptr<Activity>)>;
  enum class State : std::uint8_t { waiting, offered, fetching, streaming, holder, limited, alone };

  TimePoint now() const;
  void apply(Actions actions);
  void act(const Send& action);
  void act(const Subscribe& action);
  void act(const Unsubscribe& action);
  void act(const FetchOrigin& action);
  void act(const StopFetch&);
  void act(const FetchHolder& action);
  void act(const DropChild& action);
  void act(const Refuse& action);
  void act(const GiveUp& action);
  void end_former(Stripe stripe);
  void offer(std::uint64_t from);
  /// What comes can't be kept here: clients go on by themselves, nobody waits for this node.
  void leave_herd();

  std::shared_ptr<Activity> start(Work work);
  void become(State state);
  State state() const;
  /// Makes the spool, or finds that the one there is of that size. Null if it can't be shared.
  std::shared_ptr<Spool> adopt(std::uint64_t size);

  // party_link.cpp: what comes from a parent.
  awaitable<void> follow(std::shared_ptr<Activity> activity, Subscribe what);
  awaitable<Result<void>> read_stripe(std::shared_ptr<Activity> activity, Subscribe what,
                                      registry::Exchange& exchange);
  awaitable<Result<void>> take_frame(std::shared_ptr<Activity> activity, const Subscribe& what,
                                     const DataFrame& frame, std::uint64_t& next);
  static Errc refuse(Activity& activity, Verdict verdict);
  Result<void> take_about(const DataFrame& frame);
  awaitable<Result<void>> take_batch(std::shared_ptr<Activity> activity, const Subscribe& what,
                                     const DataFrame& frame);
  awaitable<Result<void>> take_piece(std::shared_ptr<Activity> activity, const Subscribe& what,
                                     const DataFrame& frame, std::uint64_t& next);
  awaitable<Verdict> check_piece(std::shared_ptr<Activity> activity, Stripe stripe,
                                 std::uint64_t index, PieceHash hash);
  awaitable<void> learn_head(NodeId head);

  // party_fetch.cpp: what comes from the origin.
  awaitable<void> fetch(std::shared_ptr<Activity> activity, std::optional<registry::Exchange> begun,
                        std::uint64_t from);
  awaitable<Result<registry::Exchange>> ask_again(std::uint64_t from);
  awaitable<Result<void>> pump(const std::shared_ptr<Activity>& activity,
                               registry::Exchange& exchange, std::uint64_t& offset);
  Result<void> take_from_origin(Spool& shared, std::uint64_t piece, ByteView bytes);
  void report_arrivals(const Spool& shared);
  void verify_without_client();
  awaitable<void> verify(std::shared_ptr<Activity> activity);
  void cover(Spool& shared, const std::vector<Batch>& batches);
  void seal_when_quiet();
  void sign_rest();
  TimePoint next_seal() const;
  void fetch_from(std::uint64_t from, std::optional<registry::Exchange> begun);

  void note_signers();
  SharedBytes encoded(const Batch& batch);
  bool is_over();
  TimePoint ahead_until() const;
  void end_ahead();
  bool has_given_way() const { return vacancy_ == Vacancy::given_way; }
  void without_client();
  awaitable<void> end_all();

  Herds& herds_;
  registry::MirrorParts& parts_;
  const asio::any_io_executor home_;
  const HerdId id_;
  const registry::ContentRequest request_;
  const bool whole_;                  ///< nobody is given any of it before it is all there
  const std::shared_ptr<Load> load_;  ///< the node's, of all parties
  Member member_;
  Ledger ledger_;
  asio::steady_timer timer_;
  TaskGroup tasks_;
  std::array<std::shared_ptr<Activity>, kStripes> links_;
  std::array<std::shared_ptr<Activity>, kStripes> former_;  ///< until links_ have a first piece
  std::shared_ptr<Activity> fetching_;
  std::vector<std::shared_ptr<Activity>> activities_;
  std::vector<std::shared_ptr<Child>> children_;
  std::size_t seats_ = 0;
  std::vector<Again> agains_;  ///< of the seats that can be used from home
  std::uint64_t epoch_ = 0;
  bool gave_up_ = false;
  bool finished_ = false;
  bool verifying_ = false;
  bool serves_on_ = false;  ///< it has all of it, for children that come late
  bool lends_ = true;       ///< a client's request can be sent to the origin once more
  TimePoint wanted_{};      ///< by clients that are to come
  TimePoint used_{};        ///< when the last of its clients and children was there
  TimePoint fed_{};         ///< the last piece from the origin
  PerStripe reported_{};    ///< to the member
  std::array<TimePoint, kStripes> sealed_at_{};
  std::size_t signer_count_ = 0;  ///< of signers that others have been told of
  struct Encoded {
    Batch batch = {};
    SharedBytes encoded = {};
  };
  std::array<Encoded, kStripes> last_batches_;

  Bell bell_;
  std::atomic<bool> ended_ = false;
  std::atomic<std::size_t> child_count_ = 0;
  std::atomic<bool> from_origin_ = false;
  std::atomic<Duration> limited_{};
  std::atomic<bool> attended_ = false;
  std::atomic<bool> ahead_ = false;
  /// Ahead, and nothing has come of it yet; or it is over for the sake of another thread's client.
  enum class Vacancy : std::uint8_t { none, vacant, given_way };
  std::atomic<Vacancy> vacancy_ = Vacancy::none;
  mutable std::mutex mutex_;
  State state_ = State::waiting;
  std::shared_ptr<Spool> spool_;
  std::optional<registry::Peer> holder_;
  NodeId holder_node_;
  std::vector<std::pair<NodeId, std::string>> heads_;  ///< who signed what has come
  std::vector<NodeId> signers_;                        ///< of what was taken
};

}  // namespace hagring::herd
