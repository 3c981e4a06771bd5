// Signature vectors through the code of the hot path: our own, and the shared ones where they lie beside the
// repository.
import Engine
import FastPath
import Foundation
import Testing

@Suite struct VectorTests {
    private static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Nil where the shared vectors are not beside the repository.
    private static let sharedFolder: URL? = {
        var folder = repository
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("shared/vectors")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
            folder = folder.deletingLastPathComponent()
        }
        return nil
    }()

    private static let providers = [
        "standard-webhooks", "svix", "github", "gitlab", "stripe", "slack", "zoom", "shopify", "fireflies", "otter",
    ]

    private func results(_ file: URL, _ engine: VerifierEngine) throws -> [VectorResult] {
        try VectorRunner.run(file: [UInt8](Data(contentsOf: file)), engine: engine)
    }

    @Test(arguments: VerifierEngine.available) func agreesWithOurOwnVectors(engine: VerifierEngine) throws {
        let file = VectorTests.repository.appendingPathComponent("Tests/Fixtures/vectors.json")
        let results = try results(file, engine)
        #expect(results.count >= 150)
        #expect(results.allSatisfy { $0.result != .skipped })
        #expect(results.contains { $0.result == .accept })
        for result in results { #expect(result.passes, "\(result)") }
    }

    @Test(.enabled(if: sharedFolder != nil), arguments: VerifierEngine.available)
    func agreesWithTheSharedVectors(engine: VerifierEngine) throws {
        var passed = 0
        for provider in VectorTests.providers {
            let file = try #require(VectorTests.sharedFolder).appendingPathComponent("\(provider).json")
            for result in try results(file, engine) {
                if result.result == .skipped {
                    #expect(result.reason?.contains("ed25519") == true, "\(result)")
                    #expect(!result.passes)
                } else {
                    #expect(result.passes, "\(result)")
                    passed += 1
                }
            }
        }
        #expect(passed >= 100)
    }

    @Test(.enabled(if: sharedFolder != nil)) func skipsWhatThisVersionHasNoSchemeFor() throws {
        let file = try #require(VectorTests.sharedFolder).appendingPathComponent("discord.json")
        let results = try results(file, .openssl)
        #expect(!results.isEmpty)
        #expect(results.allSatisfy { $0.result == .skipped && !$0.passes })
    }

    @Test func refusesAFileThatIsNoArrayOfVectors() {
        #expect(throws: (any Error).self) { try VectorRunner.run(file: Array("{}".utf8)) }
    }
}
