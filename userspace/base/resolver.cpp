// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/resolver.hpp"

#include <netdb.h>
#include <pthread.h>

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace hagring {
namespace {

/// The longest name in DNS's text form (RFC 1035, section 2.3.4, less the root's dot).
constexpr std::size_t kMaxName = 253;

/// How long the destructor waits for threads that are not stuck.
constexpr auto kFarewell = std::chrono::milliseconds(200);

error_code translate(int code) {
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return Errc::not_found;
    case EAI_SYSTEM:
      return last_system_error();
    default:
      return Errc::unavailable;
  }
}

/// One caller. Its timer and the result belong to the caller's executor; `executor` is guarded by
/// `mutex` and emptied when the caller goes, since its io_context may go next.
struct Waiter {
  std::mutex mutex;
  asio::any_io_executor executor;
  asio::steady_timer* timer = nullptr;
  std::optional<Result<Resolver::Addresses>> result;
};

/// Called on a resolver's thread.
void answer(const std::shared_ptr<Waiter>& waiter, const Result<Resolver::Addresses>& result) {
  const std::lock_guard lock(waiter->mutex);
  if (!waiter->executor) return;  // abandoned
  asio::post(waiter->executor, [waiter, result] {
    if (waiter->timer == nullptr) return;
    waiter->result = result;
    waiter->timer->cancel();
  });
}

/// Makes the waiter forget its caller, however that one ends.
class Abandon {
 public:
  explicit Abandon(std::shared_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
  Abandon(const Abandon&) = delete;
  Abandon& operator=(const Abandon&) = delete;
  ~Abandon() {
    const std::lock_guard lock(waiter_->mutex);
    waiter_->executor = {};
    waiter_->timer = nullptr;
  }

 private:
  std::shared_ptr<Waiter> waiter_;
};

}  // namespace

struct SystemResolver::State {
  using Waiters = std::vector<std::shared_ptr<Waiter>>;

  State(Options with, Lookup by) : options(with), lookup(std::move(by)) {}

  const Options options;
  const Lookup lookup;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;           ///< names that no thread has taken yet
  std::map<std::string, Waiters> waiters;  ///< by name, queued or under way: asked once for all
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool stopping = false;

  bool enqueue(const std::string& name, std::shared_ptr<Waiter> waiter);
  static bool staff(const std::shared_ptr<State>& self);
  static void work(std::shared_ptr<State> self);

 private:
  std::size_t drop_abandoned();
};

/// Forgets callers that have gone; returns how many still wait.
std::size_t SystemResolver::State::drop_abandoned() {
  std::size_t count = 0;
  for (auto& [name, list] : waiters) {
    std::erase_if(list, [](const auto& waiter) {
      const std::lock_guard lock(waiter->mutex);
      return !waiter->executor;
    });
    count += list.size();
  }
  return count;
}

/// False when too many wait. Called under the mutex.
bool SystemResolver::State::enqueue(const std::string& name, std::shared_ptr<Waiter> waiter) {
  if (drop_abandoned() >= options.waiting) return false;
  auto [place, first] = waiters.try_emplace(name);
  place->second.push_back(std::move(waiter));
  if (first) queue.push_back(name);
  changed.notify_one();
  return true;
}

/// Starts a thread if the queue needs one; false when there is none to do the work. Called under
/// the mutex.
bool SystemResolver::State::staff(const std::shared_ptr<State>& self) {
  if (self->idle >= self->queue.size() || self->threads >= self->options.threads) return true;
  try {
    std::thread thread(work, self);
    pthread_setname_np(thread.native_handle(), "resolver");
    // Not joined: getaddrinfo can't be interrupted, and nobody is to wait for it.
    thread.detach();
    ++self->threads;
  } catch (const std::system_error&) {
    return self->threads > 0;
  }
  return true;
}

void SystemResolver::State::work(std::shared_ptr<State> self) {
  std::unique_lock lock(self->mutex);
  while (true) {
    ++self->idle;
    self->changed.wait(lock, [&] { return self->stopping || !self->queue.empty(); });
    --self->idle;
    if (self->stopping) break;
    const std::string name = std::move(self->queue.front());
    self->queue.pop_front();
    self->drop_abandoned();
    Result<Addresses> result = Errc::cancelled;
    if (!self->waiters[name].empty()) {
      lock.unlock();
      result = self->lookup(name);
      lock.lock();
    }
    for (const auto& waiter : self->waiters[name]) answer(waiter, result);
    self->waiters.erase(name);
  }
  --self->threads;
  self->changed.notify_all();
}

SystemResolver::SystemResolver(Options options, Lookup lookup)
    : state_(std::make_shared<State>(options, std::move(lookup))) {}

SystemResolver::~SystemResolver() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kFarewell, [&] { return state_->threads == 0; });
}

awaitable<Result<Resolver::Addresses>> SystemResolver::resolve(std::string name) {
  error_code not_literal;
  if (auto address = asio::ip::make_address(name, not_literal); !not_literal) {
    co_return Addresses{address};
  }
  if (name.empty() || name.size() > kMaxName || name.find('\0') != std::string::npos) {
    co_return Errc::bad_message;
  }
  auto waiter = std::make_shared<Waiter>();
  asio::steady_timer timer(co_await asio::this_coro::executor, state_->options.limit);
  waiter->executor = timer.get_executor();
  waiter->timer = &timer;
  const Abandon abandon(waiter);
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->enqueue(name, waiter)) co_return Errc::unavailable;
    if (!State::staff(state_)) co_return Errc::unavailable;
  }
  auto [ended] = co_await timer.async_wait(kTuple);
  if (waiter->result) co_return std::move(*waiter->result);
  co_return ended ? error_code(Errc::cancelled) : error_code(Errc::timed_out);
}

Result<Resolver::Addresses> SystemResolver::system_lookup(const std::string& name) {
  // No AI_ADDRCONFIG: it ignores loopback, and who dials tries every address anyway.
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(name.c_str(), nullptr, &hints, &list); code != 0) {
    return translate(code);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  Addresses addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    endpoint.resize(entry->ai_addrlen);
    const auto address = endpoint.address();
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  if (addresses.empty()) return Errc::not_found;
  return addresses;
}

}  // namespace hagring
