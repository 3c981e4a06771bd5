// What several commands take: a secret, a configuration, a listener, a size or a time on the command line.
import ArgumentParser
import Engine
import Foundation

enum SecretText {
    /// `file:PATH` (one trailing newline is not part of it) or the text itself.
    static func resolve(_ text: String) throws -> String {
        guard text.hasPrefix("file:") else { return text }
        let path = String(text.dropFirst(5))
        do {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            if bytes.last == 0x0A { bytes.removeLast() }
            guard let secret = String(data: bytes, encoding: .utf8), !secret.isEmpty else {
                throw ValidationError("the secret file `\(path)` is empty or not UTF-8 text")
            }
            return secret
        } catch let error as ValidationError {
            throw error
        } catch {
            throw ValidationError("cannot read the secret file `\(path)`: \(ConfigurationReading.reason(of: error))")
        }
    }
}

enum InputFile {
    /// The bytes of a file, or of standard input for `-`.
    static func read(_ path: String) throws -> [UInt8] {
        if path == "-" { return [UInt8]((try? FileHandle.standardInput.readToEnd()) ?? Data()) }
        do {
            return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw ValidationError("cannot read `\(path)`: \(ConfigurationReading.reason(of: error))")
        }
    }
}

enum ConfigurationInput {
    /// What is in the file; one that is wrong ends the command with what is wrong.
    static func read(_ path: String) throws -> GatewayConfiguration {
        do {
            return try ConfigurationFile.load(path)
        } catch let error as ConfigurationError {
            Output.failure(error.description)
            throw ExitStatus.usage
        }
    }
}

/// A time as the configuration spells it. For options with `transform: TimeArgument.read`, whose refusal says what
/// would be right.
struct TimeArgument: CustomStringConvertible {
    let millis: Int

    static func seconds(_ count: Int) -> TimeArgument { TimeArgument(millis: count * 1000) }
    static func read(_ text: String) throws -> TimeArgument {
        if let millis = TimeSpan.parse(text) { return TimeArgument(millis: millis) }
        let isBare = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        throw ValidationError(
            isBare
                ? "a time has a unit: \(text)s for seconds, \(text)m for minutes"
                : "a time is a number and a unit, such as 500ms, 30s, 2m or 1h30m")
    }
    var description: String { TimeSpan.text(of: millis) }
}

/// Where a control listener is: `HOST:PORT`, after `https://` where it has TLS; `http://` says what is so anyway.
package struct AdminAddress: ExpressibleByArgument, CustomStringConvertible, Equatable, Sendable {
    static let secureScheme = "https://"
    private static let plainScheme = "http://"
    let host: String
    let port: Int
    let isSecure: Bool
    package init?(argument: String) {
        isSecure = argument.hasPrefix(Self.secureScheme)
        var bare = AdminAddress.bare(argument)
        if bare.hasSuffix("/") { bare.removeLast() }
        guard let address = AddressText.host(of: bare) else { return nil }
        (host, port) = address
    }
    static func bare(_ text: String) -> String {
        let scheme = [secureScheme, plainScheme].first { text.hasPrefix($0) } ?? ""
        return String(text.dropFirst(scheme.count))
    }
    /// As a request names it.
    package var authority: String { AddressText.text(host: host, port: port) }
    package var description: String { (isSecure ? Self.secureScheme : "") + authority }
}

/// `HOST:PORT`.
struct AddressArgument: ExpressibleByArgument, CustomStringConvertible {
    let host: String
    let port: Int
    init?(argument: String) {
        guard let address = AddressText.host(of: argument) else { return nil }
        (host, port) = address
    }
    var description: String { AddressText.text(host: host, port: port) }
}
