// Ask a bonsai-edge server from the command line; `ask --help` says how.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "be1.hpp"

namespace {

constexpr const char* usage = R"(usage: ask [options] COMMAND [ARGUMENT]

  chat TEXT, generate TEXT   answer a sentence, or continue a text; Ctrl-C cancels and prints what there is
  tokenize TEXT              print token ids
  hello, status, model       print what the server says of itself, as JSON
  ping                       print how long an answer takes
  cancel ID                  cancel a request, of whichever client; ID is 32 hexadecimal digits

  --connect ENDPOINT    tcp://127.0.0.1:5571 by default
  --timeout-ms N        how long the server may be silent (5000)
  --deadline-ms N       after which the server ends the request
  --priority CLASS      safety, interactive, normal or background, where the server has priorities
  --require FEATURE     be refused unless the server has it; may be repeated
  --id ID               the request's own id, so that others can cancel it
  --detached            let it go on when this program ends
  --resume-from N       take over the answer of the request with the same --id, from chunk N on
  --max-tokens N, --temperature T, --seed N
  --no-stream           print the whole answer at once
  --cancel-after N      cancel after so many chunks
  --json                print every message as a line of JSON
)";

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Arguments {
    std::string endpoint = "tcp://127.0.0.1:5571";
    be1::Milliseconds timeout{5000};
    be1::Json header = be1::Json::object();
    be1::Json options = be1::Json::object();
    be1::Id id = be1::new_id();
    std::optional<std::uint64_t> cancel_after;
    bool as_json = false;
    std::string command;
    std::string argument;
};

volatile std::sig_atomic_t is_interrupted = 0;

std::uint64_t number(const std::string& name, const std::string& text) {
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
        throw UsageError(name + " needs a whole number, not '" + text + "'.");
    return std::stoull(text);
}

double real(const std::string& name, const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end) throw UsageError(name + " needs a number, not '" + text + "'.");
    return value;
}

be1::Id read_id(const std::string& text) {
    be1::Id id;
    if (text.size() != 32 || text.find_first_not_of("0123456789abcdef") != std::string::npos)
        throw UsageError("An id has 32 hexadecimal digits in lower case.");
    for (std::size_t i = 0; i < id.size(); ++i)
        id[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
    return id;
}

Arguments read_arguments(int argc, char** argv) {
    Arguments arguments;
    std::vector<std::string> positional;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        const auto value = [&]() -> std::string {
            if (++i == argc) throw UsageError(name + " needs a value.");
            return argv[i];
        };
        if (name.rfind("--", 0) != 0) positional.push_back(name);
        else if (name == "--connect") arguments.endpoint = value();
        else if (name == "--timeout-ms") arguments.timeout = be1::Milliseconds(number(name, value()));
        else if (name == "--deadline-ms") arguments.header["deadline_ms"] = number(name, value());
        else if (name == "--priority") arguments.header["priority"] = value();
        else if (name == "--require") arguments.header["requires"].push_back(value());
        else if (name == "--id") arguments.id = read_id(value());
        else if (name == "--detached") arguments.header["detached"] = true;
        else if (name == "--resume-from") arguments.header["resume_from"] = number(name, value());
        else if (name == "--max-tokens") arguments.options["max_tokens"] = number(name, value());
        else if (name == "--temperature") arguments.options["temperature"] = real(name, value());
        else if (name == "--seed") arguments.options["seed"] = number(name, value());
        else if (name == "--no-stream") arguments.header["stream"] = "none";
        else if (name == "--cancel-after") arguments.cancel_after = number(name, value());
        else if (name == "--json") arguments.as_json = true;
        else throw UsageError("There is no option " + name + ".");
    }
    if (positional.empty() || positional.size() > 2) throw UsageError("Give one COMMAND and at most one ARGUMENT.");
    arguments.command = positional[0];
    if (positional.size() == 2) arguments.argument = positional[1];
    return arguments;
}

// Print what a generation brings while it comes, and its figures in the end.
void show(const be1::Message& message, const Arguments& arguments) {
    if (arguments.as_json) {
        be1::Json line = {{"id", be1::hex(message.id)}, {"kind", message.kind}, {"body", be1::printable(message.body)}};
        std::cout << line.dump() << std::endl;
        return;
    }
    const bool streams = arguments.header.value("stream", "tokens") != "none";
    if (message.kind == "CHUNK") std::cout << message.body.at("text").get<std::string>() << std::flush;
    if (message.kind != "FINAL") return;
    if (!streams) std::cout << message.body.at("text").get<std::string>();
    std::cout << std::endl;
    const auto& result = message.body;
    std::cerr << result.at("usage").at("completion_tokens") << " tokens, ";
    std::cerr << result.at("finish_reason").get<std::string>();
    const auto& speed = result.at("timings").at("decode_tokens_per_s");
    if (!speed.is_null()) std::cerr << ", " << static_cast<int>(speed.get<double>()) << " tokens/s";
    std::cerr << "\n";
}

void generate(be1::Client& client, const Arguments& arguments) {
    be1::Json body = {{"method", arguments.command}, {"options", arguments.options}};
    if (arguments.command == "generate") body["prompt"] = arguments.argument;
    else body["messages"] = be1::Json::array({{{"role", "user"}, {"content", arguments.argument}}});
    const be1::Id id = client.start(body, arguments.header, arguments.id);
    bool is_cancelled = false;
    std::uint64_t num_chunks = 0;
    while (true) {
        const bool is_enough = arguments.cancel_after && num_chunks >= *arguments.cancel_after;
        if ((is_interrupted || is_enough) && !is_cancelled) is_cancelled = client.cancel(id);
        const auto message = client.next(be1::Milliseconds{1000});
        if (!message) continue;
        show(*message, arguments);
        if (message->is_failure()) throw be1::error_of(*message);
        if (message->is_terminal()) return;
        if (message->kind == "CHUNK") ++num_chunks;
    }
}

void print(const be1::Message& message) { std::cout << be1::printable(message.body).dump() << std::endl; }

void run(const Arguments& arguments) {
    const std::string& command = arguments.command;
    be1::Client client(arguments.endpoint, arguments.timeout);
    if (command == "chat" || command == "generate") generate(client, arguments);
    else if (command == "tokenize") print(client.call("REQUEST", {{"method", command}, {"text", arguments.argument}}));
    else if (command == "hello") print(client.call("HELLO", {{"client", "ask-cpp"}}));
    else if (command == "status") print(client.call("REQUEST", {{"method", "status"}}));
    else if (command == "model") print(client.call("REQUEST", {{"method", "model.info"}}));
    else if (command == "cancel") {
        const bool was_alive = client.cancel(read_id(arguments.argument));
        std::cout << (was_alive ? "cancelled" : "unknown") << "\n";
    } else if (command == "ping") {
        client.call("HELLO");  // so that connecting is not measured
        const auto asked_at = be1::Clock::now();
        client.call("PING");
        const std::chrono::duration<double, std::milli> taken = be1::Clock::now() - asked_at;
        std::cout << taken.count() << " ms\n";
    } else throw UsageError("There is no command " + command + ".");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string(argv[1]) == "--help") {
        std::cout << usage;
        return 0;
    }
    std::signal(SIGINT, [](int) { is_interrupted = 1; });
    try {
        run(read_arguments(argc, argv));
    } catch (const UsageError& error) {
        std::cerr << error.what() << "\n\n" << usage;
        return 2;
    } catch (const be1::Error& error) {
        std::cerr << "Error [" << error.code << "]: " << error.what() << " " << error.remedy << "\n";
        return 1;
    } catch (const std::exception& error) {
        std::cerr << "Error: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
