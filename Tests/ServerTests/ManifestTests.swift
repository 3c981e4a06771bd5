// The manifest adapter between the file and the registry: what the registry says of a field is shown at its line, and a
// large manifest is read in one pass.
import Engine
import Foundation
import Server
import Testing

private func read(_ text: String) throws -> Manifest {
    try ConfigurationFile.manifest(text: text, file: "sluice.yaml", environment: ["S": "c2VjcmV0"])
}
private let sourceLine = "sources:\n  - { name: github, provider: github, secrets: [\"${S}\"] }\n"

@Suite struct ManifestTests {
    // A reason names a piece of the value, in small letters: what was put in for a variable came out that way.
    @Test(arguments: ["${S}://h.example/", "http://h.example:${S}/", "https://x_${S}_y-/", "http${S}s://h/"])
    func aReasonShowsNothingOfWhatAVariableHeld(_ url: String) throws {
        let error = try #require(throws: ConfigurationError.self) {
            _ = try read(sourceLine + "endpoints:\n  - { name: billing, url: \"\(url)\" }\n")
        }
        #expect(error.description.contains("`\(url)`"))
        #expect(!error.description.lowercased().contains("c2vjcmv0"), "\(error)")
    }
    @Test func anIssueOfTheRegistryIsShownAtItsLineWithTheTextOfTheFile() throws {
        let manifest = try read(
            sourceLine + """
                endpoints:
                  - name: billing
                    url: http://hooks.example.com/${S}
                    sources: github
                """)
        func text(_ issue: ValidationIssue) -> [String] { manifest.error(ValidationIssues([issue])).lines }
        let endpoint = FieldPath("endpoints")[0]
        #expect(
            text(ValidationIssue(endpoint["url"], "is not good", about: .value))
                == ["sluice.yaml:5: `url`: `http://hooks.example.com/${S}` is not good"])
        #expect(
            text(ValidationIssue(endpoint["sources"][0], "is unknown", about: .value))
                == ["sluice.yaml:6: `sources`: `github` is unknown"])
        #expect(
            text(ValidationIssue(endpoint["timeouts"]["total"], "must be longer"))
                == ["sluice.yaml:4: `timeouts.total` must be longer"])
        #expect(
            text(ValidationIssue(FieldPath("log", "group"), "must be larger"))
                == ["sluice.yaml:1: `log.group` must be larger"])
        #expect(
            text(ValidationIssue(endpoint["secret"][0], "secret 1 is empty", about: .nothing))
                == ["sluice.yaml:4: `secret`: secret 1 is empty"])
    }

    @Test func whatCouldNotBeReadIsNotReportedASecondTime() {
        let error = #expect(throws: ConfigurationError.self) {
            try read(
                sourceLine + """
                    endpoints:
                      - name: billing
                        url: ${NOT_SET}
                        concurrency: many
                        sources: [gihub]
                    """)
        }
        #expect(error?.problems.map(\.line) == [5, 6, 7])
        #expect(error?.problems.last?.message.contains("did you mean `github`?") == true)
    }

    @Test func aManifestMayLeaveSourcesToTheAPI() throws {
        #expect(try read("sources: []\n").configuration.sources.isEmpty)
    }

    @Test func readsTenThousandEndpointsInOnePass() throws {
        var text = sourceLine + "endpoints:\n"
        for number in 0..<10_000 {
            text += "  - name: e\(number)\n    tenant: t\(number % 100)\n    url: http://hooks.example.com/\(number)\n"
            text += "    types: [\"push\", \"invoice.*\"]\n    secret: \"${S}\"\n"
        }
        let began = ContinuousClock.now
        let manifest = try read(text)
        #expect(manifest.configuration.endpoints.count == 10_000)
        #expect(manifest.configuration.endpoints.last?.tenant == "t99")
        print("10,000 endpoints read and checked in \(ContinuousClock.now - began)")
    }
}
