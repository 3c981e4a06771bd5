// What `traces` may be, and what a request to the collector is made of.

import Engine
import FastPath
import Testing

@Suite struct TraceSettingsTests {
    private func settings(_ change: (inout TraceSettings) -> Void = { _ in }) -> TraceSettings {
        var settings = TraceSettings()
        settings.endpoint = "http://127.0.0.1:4318"
        change(&settings)
        return settings
    }
    private func places(_ change: (inout TraceSettings) -> Void) -> [String] {
        var configuration = manifest()
        configuration.process.traces = settings(change)
        return RegistryValidation.issues(of: configuration).map { "\($0.path)" }
    }

    @Test(arguments: [
        ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/traces", false),
        ("http://collector/", "collector", "/v1/traces", false),
        ("https://otlp.example.com/otlp", "otlp.example.com", "/otlp/v1/traces", true),
        ("https://otlp.example.com:4318/a/b/", "otlp.example.com:4318", "/a/b/v1/traces", true),
    ])
    func thePathComesBehindTheBase(endpoint: String, host: String, target: String, isSecure: Bool) throws {
        let request = try #require(settings { $0.endpoint = endpoint }.request)
        #expect(request.hostField == host && request.target == target && request.isSecure == isSecure)
        #expect(places { $0.endpoint = endpoint } == [])
    }
    @Test func headersAndTypeAreWritten() throws {
        let request = try #require(
            settings {
                $0.headers = [TraceHeader("Authorization", "Bearer a"), TraceHeader("X-B", "c")]
                $0.timeoutMillis = 77
            }.request)
        let lines = String(decoding: request.fieldLines, as: UTF8.self)
        let own = "Content-Type: application/json\r\nUser-Agent: Sluice/"
        #expect(lines.hasPrefix("Authorization: Bearer a\r\nX-B: c\r\n" + own))
        #expect(lines.hasSuffix("\r\n") && request.millisMax == 77)
        #expect(settings { $0.endpoint = "nothing" }.request == nil)
    }
    @Test func whatIsWrongIsSaidAtItsPlace() {
        let wrong = ["", "127.0.0.1:4318", "ftp://a/", "http://u:p@a/", "http://a/?b=c", "http://a/#b", "http://a:0/"]
        for endpoint in wrong {
            #expect(places { $0.endpoint = endpoint } == ["traces.endpoint"], "\(endpoint)")
        }
        #expect(places { $0.serviceName = "" } == ["traces.service_name"])
        for name in ["", "a b", "Host", "content-LENGTH", "a:"] {
            #expect(places { $0.headers = [TraceHeader(name, "v")] } == ["traces.headers"], "\(name)")
        }
        #expect(places { $0.headers = [TraceHeader("a", "v\r\nb: c")] } == ["traces.headers"])
        #expect(places { $0.headers = [TraceHeader("a", "v"), TraceHeader("A", "w")] } == ["traces.headers"])
        #expect(places { $0.headers = (0..<17).map { TraceHeader("a\($0)", "v") } } == ["traces.headers"])
        #expect(places { $0.headers = [TraceHeader("a", String(repeating: "v", count: 8192))] } == ["traces.headers"])
    }
    /// Whoever shows an issue about a value shows the value.
    @Test func aPasswordInAURLIsNotShown() {
        var configuration = manifest()
        configuration.process.traces = settings { $0.endpoint = "http://u:geheim@a/" }
        #expect(RegistryValidation.issues(of: configuration).map(\.subject) == [.field])
    }
    @Test func aChangeNeedsARestartAndShowsNoSecret() {
        var (old, new) = (ProcessSettings(), ProcessSettings())
        new.traces = settings { $0.headers = [TraceHeader("a", "geheim")] }
        #expect(new.differingKeys(from: old) == ["traces"])
        old.traces = new.traces
        #expect(new.differingKeys(from: old).isEmpty)
        new.traces?.headers[0].value = "other"
        #expect(new.differingKeys(from: old) == ["traces"])
    }
}
