// A client for the protocol BE/1, written from docs/protocol.md: cppzmq for the socket, nlohmann-json for MessagePack.
//
// One connection, one thread, any number of requests at a time: `start` them, then take what comes of them from `next`.
// The client holds the server to its word: chunks without gaps, texts that join to the result, one terminal message
// for each request and nothing after it. It gives up on a server that is silent, not on one that works for long.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <zmq.hpp>
#include <zmq_addon.hpp>

namespace be1 {

using Json = nlohmann::ordered_json;  // fields stay in the order in which they were written
using Id = std::array<std::uint8_t, 16>;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr const char* protocol = "BE/1";
constexpr std::int64_t max_message_bytes = 4 << 20;
constexpr std::size_t num_frames = 5;
constexpr std::size_t max_frames = 16;
constexpr std::size_t max_pinged_ids = 256;
constexpr std::size_t num_remembered = 256;
constexpr Milliseconds ping_interval{1000};

// What the server reported, what it did against the protocol, or that it is not there.
struct Error : std::runtime_error {
    Error(std::string code_, const std::string& message, std::string remedy_, bool retryable_)
        : std::runtime_error(message), code(std::move(code_)), remedy(std::move(remedy_)), retryable(retryable_) {}
    std::string code;
    std::string remedy;
    bool retryable;
};

// Build the error for a message that the protocol does not allow.
inline Error violation(const std::string& what) {
    return {"protocol_error", what, "Use the same version of the protocol on both sides.", false};
}

struct Message {
    std::string kind;
    Id id{};
    Json header = Json::object();
    Json body = Json::object();

    // Return whether the server sends nothing more for the request.
    bool is_terminal() const { return kind == "FINAL" || kind == "ERROR" || kind == "REJECTED"; }
    bool is_failure() const { return kind == "ERROR" || kind == "REJECTED"; }
};

// Return the error that a message reports.
inline Error error_of(const Message& message) {
    const Json& body = message.body;
    return {body.at("code"), body.at("message"), body.at("remedy"), body.at("retryable")};
}

// Make a random UUID (version 4).
inline Id new_id() {
    thread_local std::random_device source;
    Id id;
    for (auto& byte : id) byte = static_cast<std::uint8_t>(source());
    id[6] = static_cast<std::uint8_t>((id[6] & 0x0f) | 0x40);
    id[8] = static_cast<std::uint8_t>((id[8] & 0x3f) | 0x80);
    return id;
}

inline std::string hex(const std::uint8_t* bytes, std::size_t size) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) (text += digits[bytes[i] >> 4]) += digits[bytes[i] & 15];
    return text;
}

inline std::string hex(const Id& id) { return hex(id.data(), id.size()); }

// Return the id as a MessagePack `bin`, as it stands in the bodies of CANCEL and PING.
inline Json binary(const Id& id) { return Json::binary(std::vector<std::uint8_t>(id.begin(), id.end())); }

// Read an id out of a body.
inline Id id_of(const Json& value) {
    if (!value.is_binary() || value.get_binary().size() != Id{}.size()) throw violation("An id is not 16 bytes.");
    Id id;
    std::copy(value.get_binary().begin(), value.get_binary().end(), id.begin());
    return id;
}

// Replace ids, which JSON has no type for, by their digits.
inline Json printable(const Json& value) {
    if (value.is_binary()) return hex(value.get_binary().data(), value.get_binary().size());
    if (!value.is_structured()) return value;
    Json copy = value;
    for (auto& element : copy) element = printable(element);
    return copy;
}

using Frames = std::vector<zmq::message_t>;

inline Frames encode(const Message& message) {
    const auto header = Json::to_msgpack(message.header), body = Json::to_msgpack(message.body);
    Frames frames;
    frames.emplace_back(std::string(protocol));
    frames.emplace_back(message.kind);
    frames.emplace_back(message.id.data(), message.id.size());
    frames.emplace_back(header.data(), header.size());
    frames.emplace_back(body.data(), body.size());
    return frames;
}

// Read a message of either side. Throws Error.
inline Message decode(const Frames& frames) {
    if (frames.size() < num_frames || frames.size() > max_frames)
        throw violation("A message has " + std::to_string(frames.size()) + " frames.");
    if (frames[0].to_string() != protocol) throw violation("A message is not written in BE/1.");
    Message message;
    message.kind = frames[1].to_string();
    if (frames[2].size() != message.id.size()) throw violation("A request id is not 16 bytes.");
    std::copy_n(frames[2].data<std::uint8_t>(), message.id.size(), message.id.begin());
    const auto read_map = [](const zmq::message_t& frame) {
        const auto* bytes = frame.data<std::uint8_t>();
        try {
            Json map = Json::from_msgpack(bytes, bytes + frame.size());
            if (map.is_object()) return map;
        } catch (const Json::exception& error) {
            throw violation(std::string("A frame is not MessagePack: ") + error.what());
        }
        throw violation("A frame is not a map.");
    };
    message.header = read_map(frames[3]);
    message.body = read_map(frames[4]);
    return message;
}

class Client {
public:
    // Connect in the background. `timeout` is how long the server may be silent, connecting included.
    explicit Client(std::string endpoint, Milliseconds timeout = Milliseconds{5000})
        : endpoint_(std::move(endpoint)), timeout_(timeout), socket_(context_, zmq::socket_type::dealer) {
        socket_.set(zmq::sockopt::immediate, true);  // nothing is queued for a server that is not there
        socket_.set(zmq::sockopt::linger, 0);
        socket_.set(zmq::sockopt::maxmsgsize, max_message_bytes);
        socket_.set(zmq::sockopt::rcvhwm, 0);  // bounded by credit; libzmq 4.3 may abort when a full queue meets heartbeats
        socket_.set(zmq::sockopt::heartbeat_ivl, 1000);
        socket_.set(zmq::sockopt::heartbeat_timeout, 3000);
        socket_.set(zmq::sockopt::heartbeat_ttl, 3000);
        socket_.set(zmq::sockopt::sndtimeo, static_cast<int>(timeout.count()));
        socket_.connect(endpoint_);
    }

    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    ~Client() {
        try {
            socket_.set(zmq::sockopt::linger, 100);  // for the BYE to leave
            send({"BYE", new_id()}, zmq::send_flags::dontwait);
        } catch (const std::exception&) {
        }
    }

    // Begin a generation (method `generate` or `chat`) and return its id. Throws Error when nobody is there.
    Id start(Json body, Json header = Json::object(), const Id& id = new_id()) {
        Exchange exchange{true, header.value("stream", "tokens") != "none", header.value("resume_from", 0u)};
        begin({"REQUEST", id, std::move(header), std::move(body)}, exchange);
        return id;
    }

    // Ask something with one answer, wait for it and return it. Throws Error, also for what the server reports.
    Message call(const std::string& kind, Json body = Json::object(), Json header = Json::object()) {
        const Id id = new_id();
        begin({kind, id, std::move(header), std::move(body)}, Exchange{false, false});
        while (true) {
            const auto own = [&](const Message& message) { return message.id == id; };
            const auto found = std::find_if(arrived_.begin(), arrived_.end(), own);
            if (found == arrived_.end()) {
                pump(Clock::now() + ping_interval);
                continue;
            }
            Message answer = std::move(*found);
            arrived_.erase(found);
            if (answer.is_failure()) throw error_of(answer);
            return answer;
        }
    }

    // Send what is not answered, such as CREDIT.
    void tell(const std::string& kind, Json body) {
        send({kind, new_id(), Json::object(), std::move(body)}, zmq::send_flags::none);
    }

    // Cancel a request, of whichever client, and return whether it was alive; its terminal message still comes.
    bool cancel(const Id& id) {
        return !call("CANCEL", {{"request_ids", Json::array({binary(id)})}}).body.at("request_ids").empty();
    }

    // Return the next message of a started request, or nothing when none comes in time or a signal arrives.
    std::optional<Message> next(Milliseconds wait) {
        if (arrived_.empty()) pump(Clock::now() + wait);
        if (arrived_.empty()) return std::nullopt;
        Message message = std::move(arrived_.front());
        arrived_.pop_front();
        return message;
    }

private:
    struct Exchange {
        bool is_generation;
        bool streams;
        std::uint64_t first_chunk = 0;  // where an answer is resumed
        std::uint64_t num_chunks = 0;   // that have come
        bool is_accepted = false;
        std::string text{};
        Clock::time_point begun_at = Clock::now();
    };

    void begin(const Message& message, const Exchange& exchange) {
        if (live_.count(message.id)) throw violation("A request with this id is under way.");
        if (!send(message, zmq::send_flags::none))
            throw unreachable("No connection to " + endpoint_ + " within " + std::to_string(timeout_.count()) + " ms.");
        live_.emplace(message.id, exchange);
    }

    bool send(const Message& message, zmq::send_flags flags) {
        Frames frames = encode(message);
        return zmq::send_multipart(socket_, frames, flags).has_value();
    }

    // Wait for messages until something has arrived, but no longer than until a moment.
    void pump(Clock::time_point until) {
        do {
            const auto moment = std::min(until, live_.empty() ? until : std::min(ping_at(), give_up_at()));
            if (!wait_for_message(moment)) return;
            receive_all();
            tick();
        } while (arrived_.empty() && Clock::now() < until);
    }

    // Return false when a signal interrupted the wait.
    bool wait_for_message(Clock::time_point until) {
        const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now());
        zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
        try {
            zmq::poll(&item, 1, std::max(left, Milliseconds{0}));
        } catch (const zmq::error_t& error) {
            if (error.num() == EINTR) return false;
            throw;
        }
        return true;
    }

    void receive_all() {
        Frames frames;
        while (zmq::recv_multipart(socket_, std::back_inserter(frames), zmq::recv_flags::dontwait)) {
            heard_at_ = Clock::now();
            take(decode(frames));
            frames.clear();
        }
    }

    void take(Message message) {
        if (message.kind == "PONG") fail_lost(message.body.at("lost"));
        const auto found = live_.find(message.id);
        if (found == live_.end()) {
            if (std::find(ended_.begin(), ended_.end(), message.id) != ended_.end())
                throw violation(message.kind + " came after the end of its request.");
            return;  // the answer to a PING of ours, or to a request that was given up
        }
        if (found->second.is_generation && !check(found->second, message)) return;
        if (!found->second.is_generation || message.is_terminal()) {
            if (found->second.is_generation) ended_.push_back(message.id);
            if (ended_.size() > num_remembered) ended_.pop_front();
            live_.erase(found);
        }
        arrived_.push_back(std::move(message));
    }

    // Hold a message against what came before; return false for kinds of a later version, which are ignored.
    static bool check(Exchange& exchange, const Message& message) {
        const Json& body = message.body;
        if (message.kind == "ACCEPTED") {
            exchange.is_accepted = true;
        } else if (message.kind == "REJECTED") {
            if (exchange.is_accepted) throw violation("A request was rejected after it had been accepted.");
        } else if (message.kind == "CHUNK") {
            if (!exchange.is_accepted) throw violation("A chunk came before its request was accepted.");
            const auto expected = exchange.first_chunk + exchange.num_chunks++;
            if (body.at("index") != expected)
                throw violation("Chunk " + body.at("index").dump() + " came where chunk " + std::to_string(expected) +
                                " was expected.");
            exchange.text += body.at("text").get<std::string>();
        } else if (message.kind == "FINAL") {
            if (body.at("type") != "result") throw violation("A generation did not end with a result.");
            const std::string text = body.at("text");
            const auto start = text.size() - std::min(text.size(), exchange.text.size());
            const bool is_joined = text.substr(start) == exchange.text && (start == 0 || exchange.first_chunk > 0);
            if (exchange.streams && !is_joined) throw violation("The chunks do not join to the text of the result.");
        } else {
            return message.kind == "ERROR" || message.kind == "PROGRESS";
        }
        return true;
    }

    // End the requests that the server does not know: the connection broke, or it is another server by now.
    void fail_lost(const Json& ids) {
        for (const auto& value : ids) {
            const Id id = id_of(value);
            if (!live_.erase(id)) continue;
            arrived_.push_back({"ERROR", id, Json::object(),
                                {{"code", "lost"},
                                 {"message", "The connection to " + endpoint_ + " broke, and the request is lost."},
                                 {"remedy", "Send the request again."},
                                 {"retryable", true}}});
        }
    }

    // Ping a server that has been silent for a moment, and give up on one that is silent for too long.
    void tick() {
        if (live_.empty()) return;
        if (Clock::now() >= give_up_at()) {
            live_.clear();
            throw unreachable(endpoint_ + " was silent for " + std::to_string(timeout_.count()) + " ms.");
        }
        if (Clock::now() < ping_at()) return;
        Json ids = Json::array();
        for (const auto& [id, exchange] : live_)
            if (ids.size() < max_pinged_ids) ids.push_back(binary(id));
        pinged_at_ = Clock::now();
        send({"PING", new_id(), Json::object(), {{"waiting_for", ids}}}, zmq::send_flags::dontwait);
    }

    // Silence counts from the last message, but not from before the oldest request was sent.
    Clock::time_point silent_since() const {
        auto begun_at = Clock::time_point::max();
        for (const auto& [id, exchange] : live_) begun_at = std::min(begun_at, exchange.begun_at);
        return std::max(heard_at_, begun_at);
    }
    Clock::time_point give_up_at() const { return silent_since() + timeout_; }
    Clock::time_point ping_at() const {
        return std::max(silent_since(), pinged_at_) + std::min(ping_interval, timeout_ / 3);
    }

    static Error unreachable(const std::string& what) {
        return {"server_unreachable", what, "Start it with `bonsai-edge serve`, or check the endpoint.", true};
    }

    std::string endpoint_;
    Milliseconds timeout_;
    zmq::context_t context_;
    zmq::socket_t socket_;
    std::map<Id, Exchange> live_;
    std::deque<Id> ended_;  // the last ones, to notice a second end
    std::deque<Message> arrived_;
    Clock::time_point heard_at_{};
    Clock::time_point pinged_at_{};
};

}  // namespace be1
