// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/watch.hpp"

#include <fmt/core.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/cli/admin_client.hpp"
#include "userspace/cli/render_progress.hpp"
#include "userspace/cli/screen.hpp"

namespace hagring::cli {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

/// A picture may change often; lines should not fill a log.
constexpr auto kPictureInterval = 500ms;
constexpr auto kLinesInterval = 2s;
/// An agent that hangs is said to hang after this long.
constexpr auto kPatience = 2s;
constexpr int kFailed = 1;

/// What is shown of the answers, and how.
class View {
 public:
  virtual ~View() = default;
  /// Either what the agent has said, or why it says nothing. False: nobody takes it any more.
  virtual bool show(const Json& status) = 0;
  virtual bool no_agent(const std::string& why) = 0;
  virtual bool redraw() { return true; }
  virtual void suspend() { ::raise(SIGSTOP); }
  virtual Duration interval() const { return kLinesInterval; }
};

class Picture final : public View {
 public:
  bool show(const Json& status) override {
    status_ = status;
    trouble_.clear();
    return redraw();
  }
  bool no_agent(const std::string& why) override {
    trouble_ = why;
    return redraw();
  }
  bool redraw() override {
    const auto size = screen_.size();
    return screen_.draw(status_.is_null() ? render_progress(trouble_, size)
                                          : render_progress(status_, trouble_, size));
  }
  void suspend() override {
    screen_.suspend();
    redraw();
  }
  Duration interval() const override { return kPictureInterval; }

 private:
  Screen screen_;
  Json status_;
  std::string trouble_ = "waiting for the agent";
};

/// For files and pipes. That no agent answers is said once, on standard error.
class LinesView : public View {
 public:
  bool show(const Json& status) override {
    if (std::exchange(silent_, false)) std::fputs("hagring: the agent answers again\n", stderr);
    return write_out(lines(status));
  }
  bool no_agent(const std::string& why) override {
    if (!std::exchange(silent_, true)) std::fprintf(stderr, "hagring: %s\n", why.c_str());
    return true;
  }

 private:
  virtual std::string lines(const Json& status) { return log_.lines(status); }

  ProgressLog log_;
  bool silent_ = false;
};

class JsonView final : public LinesView {
  std::string lines(const Json& status) override { return status.dump() + "\n"; }
};

std::unique_ptr<View> make_view(bool json) {
  if (json) return std::make_unique<JsonView>();
  if (has_screen()) return std::make_unique<Picture>();
  return std::make_unique<LinesView>();
}

/// One question and what is shown of its answer.
awaitable<bool> refresh(const std::string& socket, View& view, Clock& clock) {
  const auto reply =
      co_await with_deadline(clock, kPatience, agent::ask_admin(socket, "GET", "/status"));
  if (!reply && reply.error() == Errc::cancelled) co_return true;
  if (!reply || reply->status != 200) {
    co_return view.no_agent(
        fmt::format("no agent answers at {} ({}); it is asked again", socket,
                    reply ? fmt::format("status {}", reply->status) : reply.error().message()));
  }
  const auto status = Json::parse(reply->document, nullptr, false);
  if (!status.is_object() || !status.contains("in_progress")) {
    co_return view.no_agent("the agent's answer makes no sense: is it of another version?");
  }
  co_return view.show(status);
}

awaitable<void> refresh_again_and_again(const std::string& socket, View& view,
                                        asio::signal_set& signals) {
  SystemClock clock;
  while (!co_await asked_to_stop()) {
    if (!co_await refresh(socket, view, clock)) {
      signals.cancel();
      co_return;
    }
    co_await clock.sleep_for(view.interval());
  }
}

awaitable<int> watch(const StatusOptions& options, View& view) {
  const auto executor = co_await asio::this_coro::executor;
  asio::signal_set signals(executor, SIGINT, SIGTERM, SIGHUP);
  signals.add(SIGWINCH);
  signals.add(SIGTSTP);
  TaskGroup tasks(executor, "watch");
  tasks.spawn([&] { return refresh_again_and_again(options.socket, view, signals); });
  int code = 0;
  while (true) {
    const auto [error, signal] = co_await signals.async_wait(kTuple);
    if (error) {
      code = kFailed;
      break;
    }
    if (signal == SIGWINCH) {
      view.redraw();
    } else if (signal == SIGTSTP) {
      view.suspend();
    } else {
      break;
    }
  }
  tasks.cancel();
  co_await tasks.drain();
  co_return code;
}

}  // namespace

int watch_status(const StatusOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto view = make_view(options.json);
  asio::io_context context(1);
  int code = kFailed;
  std::exception_ptr failure;
  asio::co_spawn(context, watch(options, *view), [&](std::exception_ptr error, int result) {
    failure = error;
    code = result;
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return code;
}

}  // namespace hagring::cli
