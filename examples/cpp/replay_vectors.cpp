// Replay the test vectors of a protocol document: read them as they say, and send what the client's contain to a
// server, encoded by this client, which writes some numbers in other formats than the vectors do.
//
//     replay_vectors docs/protocol.md [ENDPOINT]
//
// Prints a line for each vector, and exits with 1 at the first that is not what the document says.
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "be1.hpp"

namespace {

struct Vector {
    std::string sender;
    std::string title;
    std::map<std::string, std::string> frames;  // hexadecimal, by the names of the document
    std::vector<be1::Json> contents;            // of header and body
};

std::vector<Vector> read_vectors(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("Cannot read " + path + ".");
    std::vector<Vector> vectors;
    bool is_inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line == "```vector") {
            is_inside = true;
            std::getline(file, line);
            const auto colon = line.find(": ");
            vectors.push_back({line.substr(0, colon), line.substr(colon + 2), {}, {}});
        } else if (line == "```") {
            is_inside = false;
        } else if (is_inside) {
            const std::string name = line.substr(0, 10), content = line.substr(11);
            const auto name_end = name.find_last_not_of(' ');
            if (name_end == std::string::npos) vectors.back().contents.push_back(be1::Json::parse(content));
            else vectors.back().frames[name.substr(0, name_end + 1)] = content;
        }
    }
    return vectors;
}

zmq::message_t bytes_of(const std::string& text) {
    std::istringstream words(text);
    std::vector<std::uint8_t> bytes;
    for (std::string word; words >> word;) bytes.push_back(static_cast<std::uint8_t>(std::stoul(word, nullptr, 16)));
    return zmq::message_t(bytes.data(), bytes.size());
}

be1::Message read_as_it_says(const Vector& vector) {
    be1::Frames frames;
    for (const char* name : {"protocol", "kind", "request id", "header", "body"})
        frames.push_back(bytes_of(vector.frames.at(name)));
    const be1::Message message = be1::decode(frames);
    // Compared without order: the document promises none for the fields of a map.
    const auto unordered = [](const be1::Json& value) { return nlohmann::json(be1::printable(value)); };
    if (unordered(message.header) != unordered(vector.contents.at(0)) ||
        unordered(message.body) != unordered(vector.contents.at(1)))
        throw std::runtime_error("The frames of '" + vector.title + "' are not what its JSON says.");
    return message;
}

// Send a client's message, with an id of its own, and return the kinds of what came back.
std::string answers_of(be1::Client& client, const be1::Message& message) {
    if (message.kind == "BYE" || message.kind == "CREDIT") {
        client.tell(message.kind, message.body);
        return "nothing";
    }
    const std::string method = message.body.value("method", "");
    if (method != "generate" && method != "chat") return client.call(message.kind, message.body, message.header).kind;
    client.start(message.body, message.header);
    std::string kinds;
    while (true) {
        const auto answer = client.next(be1::Milliseconds{1000});
        if (!answer) continue;
        const bool is_late = answer->is_failure() && answer->body.at("code") == "deadline_exceeded";
        if (answer->is_failure() && !is_late) throw be1::error_of(*answer);  // one vector has a short deadline
        kinds += answer->kind + " ";
        if (answer->is_terminal()) return kinds;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) {
        std::cerr << "usage: replay_vectors PROTOCOL.md [ENDPOINT]\n";
        return 2;
    }
    try {
        for (const auto& vector : read_vectors(argv[1])) {
            const be1::Message message = read_as_it_says(vector);
            std::cout << vector.sender << ": " << vector.title;
            if (argc == 3 && vector.sender == "client") {
                be1::Client client(argv[2]);
                std::cout << " -> " << answers_of(client, message);
            }
            std::cout << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << "\n" << error.what() << "\n";
        return 1;
    }
    return 0;
}
