// The key `traces` of a manifest.
import Engine
import Server
import Testing

@Suite struct ManifestTraceTests {
    private func parse(_ traces: String) throws -> GatewayConfiguration {
        try ConfigurationFile.parse(
            "sources: []\ntraces: \(traces)\n", file: "sluice.yaml", environment: ["KEY": "Bearer geheim"])
    }
    private func problems(_ traces: String) -> [String] {
        do { _ = try parse(traces) } catch let error as ConfigurationError {
            return error.problems.map(\.message)
        } catch { Issue.record("\(error)") }
        return []
    }

    @Test func readsEveryKey() throws {
        #expect(try ConfigurationFile.parse("sources: []\n", file: "a.yaml", environment: [:]).process.traces == nil)
        let few = try #require(try parse("{ endpoint: \"http://127.0.0.1:4318\" }").process.traces)
        #expect(few.ratio == 0.01 && few.heedsParent && few.serviceName == "sluice" && few.timeoutMillis == 10_000)
        let all = try #require(
            try parse(
                """

                  endpoint: https://otlp.example.com/otlp
                  ratio: 0.5
                  parent: false
                  service_name: hooks
                  timeout: 3s
                  headers: { Authorization: "${KEY}", X-Scope: a }
                """
            ).process.traces)
        #expect(all.endpoint == "https://otlp.example.com/otlp" && all.ratio == 0.5 && !all.heedsParent)
        #expect(all.serviceName == "hooks" && all.timeoutMillis == 3000)
        #expect(all.headers == [TraceHeader("Authorization", "Bearer geheim"), TraceHeader("X-Scope", "a")])
    }
    @Test(arguments: [
        ("{ ratio: 0.1 }", "`endpoint`"), ("{ endpoint: \"http://a\", ratio: 1.1 }", "share from 0 to 1"),
        ("{ endpoint: \"http://a\", headers: [a] }", "names and values"),
        ("{ endpoint: \"http://a\", headers: { a: \"${NONE}\" } }", "NONE is not set"),
        ("{ endpoint: \"http://a\", timeout: 1ms }", "out of range"),
        ("{ endpoint: \"ftp://a\" }", "ftp"), ("{ endpoint: \"http://a\", headers: { Host: geheim } }", "`Host`"),
    ])
    func saysWhatIsWrong(traces: String, said: String) {
        let found = problems(traces)
        #expect(found.count == 1 && found[0].contains(said), "\(found)")
        #expect(!found.joined().contains("geheim"))
    }
}
