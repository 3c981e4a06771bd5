// Signature vectors through the code of the hot path: our own, and the shared ones where they lie beside the
// repository.
import Engine
import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct VectorTests {
    private func results(_ file: URL, _ engine: VerifierEngine) throws -> [VectorResult] {
        try VectorRunner.run(file: [UInt8](Data(contentsOf: file)), engine: engine)
    }

    @Test(arguments: VerifierEngine.available, ["vectors", "provider_vectors", "contract_vectors"])
    func agreesWithOurOwnVectors(engine: VerifierEngine, file: String) throws {
        let file = Repository.fixture("\(file).json")
        let results = try results(file, engine)
        #expect(results.count >= 60)
        #expect(results.allSatisfy { $0.result != .skipped })
        #expect(results.contains { $0.result == .accept })
        for result in results { #expect(result.passes, "\(result)") }
    }

    @Test(.enabled(if: Repository.sharedVectors != nil), arguments: VerifierEngine.available)
    func agreesWithTheSharedVectors(engine: VerifierEngine) throws {
        let folder = try #require(Repository.sharedVectors)
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json" }
        var count = 0
        for file in files.sorted(by: { $0.path < $1.path }) {
            for result in try results(file, engine) {
                // A skipped vector never passes.
                #expect(result.passes, "\(result)")
                count += 1
            }
        }
        #expect(count >= 300)
    }

    @Test func everyProviderOfTheCatalogueHasVectors() throws {
        var names: Set<String> = []
        for file in ["vectors", "provider_vectors", "contract_vectors"] {
            let url = Repository.fixture("\(file).json")
            let vectors = try JSONDecoder().decode([SignatureVector].self, from: Data(contentsOf: url))
            names.formUnion(vectors.map(VectorRunner.providerName))
        }
        // Certificates and tokens of these are in the fixtures of the verifiers in code.
        let elsewhere: Set = ["generic", "aws-sns", "paypal", "jira-connect"]
        #expect(Set(ProviderCatalogue.all.map(\.name)).subtracting(names).subtracting(elsewhere).isEmpty)
    }

    @Test func refusesAFileThatIsNoArrayOfVectors() {
        #expect(throws: (any Error).self) { try VectorRunner.run(file: Array("{}".utf8)) }
    }
}
