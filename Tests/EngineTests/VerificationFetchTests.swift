// The fetch of a certificate over a real connection: OpenSSL's own server on the loopback, with a certificate of the
// fixtures' root. Not run where the `openssl` command is missing.
import FastPath
import Foundation
import Testing

// One server at a time: Foundation sees a child's end at a socket, which a second child would hold open.
@Suite(.serialized) struct VerificationFetchTests {
    /// `openssl s_server` with `answer` as the file "/answer"; killed when the value goes.
    private final class Server {
        let port: UInt16
        private let process = Process()
        private let folder: URL

        init?(answer: String) throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent(
                "sluice-fetch-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for (name, text) in [
                ("answer", answer), ("certificate.pem", VerificationFixtures.material("server")),
                ("key.pem", VerificationFixtures.material("serverKey")),
            ] {
                try Data(text.utf8).write(to: folder.appendingPathComponent(name))
            }
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "certificate.pem", "-key", "key.pem",
                "-HTTP",
            ]
            process.currentDirectoryURL = folder
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            var said = ""
            while true {
                let data = output.fileHandleForReading.availableData
                guard !data.isEmpty else { return nil }
                said += String(decoding: data, as: UTF8.self)
                let line = said.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                    .first { $0.hasPrefix("ACCEPT") }
                guard let text = line?.split(separator: ":").last, let port = UInt16(text) else { continue }
                self.port = port
                return
            }
        }
        deinit {
            // Not SIGTERM: a child started from a task's thread inherits its mask, in which that is blocked.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            try? FileManager.default.removeItem(at: folder)
        }
    }

    private static let isServerThere: Bool = {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl", "version"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()
    private static let root = Array(VerificationFixtures.material("root").utf8)

    private func fetched(
        _ answer: String, host: String = "localhost", path: String = "/answer", roots: [UInt8]? = root
    ) throws -> String? {
        let server = try #require(try Server(answer: answer))
        return withExtendedLifetime(server) {
            SecureFetch.get(host: host, path: path, port: server.port, roots: roots)
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }
    private func answer(_ body: String) -> String {
        "HTTP/1.0 200 ok\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test(.enabled(if: isServerThere)) func bringsWhatIsThere() throws {
        let text = VerificationFixtures.material("leaf")
        #expect(try fetched(answer(text)) == text)
        let long = String(repeating: "x", count: SecureFetch.bytesMax)
        #expect(try fetched(answer(long)) == long)
    }

    @Test(.enabled(if: isServerThere)) func bringsNothingOfWhoDoesNotProveToBeTheHost() throws {
        // The system does not know the fixtures' root.
        #expect(try fetched(answer("x"), roots: nil) == nil)
        #expect(try fetched(answer("x"), roots: Array(VerificationFixtures.material("alone").utf8)) == nil)
        #expect(try fetched(answer("x"), roots: []) == nil)
        // The right root, for another name.
        #expect(try fetched(answer("x"), host: "127.0.0.1") == nil)
    }

    @Test(.enabled(if: isServerThere)) func followsNothingAndTakesNoMoreThanItsBound() throws {
        let redirect = "HTTP/1.0 302 Found\r\nLocation: https://localhost/answer\r\nContent-Length: 0\r\n\r\n"
        #expect(try fetched(redirect) == nil)
        #expect(try fetched(answer(String(repeating: "x", count: SecureFetch.bytesMax + 1))) == nil)
        #expect(try fetched(answer("x"), path: "/other") == nil)
    }

    @Test func bringsNothingWhereNobodyListens() {
        // Port 0 is nobody's.
        #expect(SecureFetch.get(host: "127.0.0.1", path: "/", port: 0, roots: VerificationFetchTests.root) == nil)
    }
}
