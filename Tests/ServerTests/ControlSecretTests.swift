// The routes of the keys that stored secrets are encrypted under, and their line of the configuration.
import Engine
import Server
import Testing

@Suite struct ControlSecretTests {
    private let platform = ["Authorization: Bearer platform", "X-Sluice-Request: 1"]

    @Test func theKeysAreShownByNameAndRotatedAsAsked() async throws {
        try await ControlServer.run { server in
            let shown = try await server.get("/api/v1/secrets", platform)
            #expect(shown.status == 200 && shown.text("master_key") == "00112233aabbccdd")
            #expect(shown.text("kept_in") == "data_folder")
            for (body, call) in [("", "rewrap -"), ("{}", "rewrap -"), (#"{"data_keys":true}"#, "rewrap true")] {
                let answer = try await server.send("POST", "/api/v1/secrets/rewrap", platform, body, host: "127.0.0.1")
                #expect(answer.status == 200 && answer.text("master_key") == "ddccbbaa33221100", "\(body)")
                #expect(server.gateway.calls.last == call)
            }
        }
    }
    @Test func aBodyThatIsNotUnderstoodRotatesNothing() async throws {
        try await ControlServer.run { server in
            for body in ["[]", #"{"datakeys":true}"#, #"{"data_keys":1}"#, "{"] {
                let answer = try await server.send("POST", "/api/v1/secrets/rewrap", platform, body, host: "127.0.0.1")
                #expect(400..<423 ~= answer.status, "\(body)")
            }
            #expect(!server.gateway.calls.contains { $0.hasPrefix("rewrap") })
        }
    }
    @Test func theConfigurationNamesAPlaceAndNeverAKey() throws {
        func place(_ text: String, _ environment: [String: String] = [:]) throws -> MasterKeyPlace {
            try ConfigurationFile.parse(
                "master_key: \(text)\nsources: [{ name: a, provider: github, secrets: [s] }]\n",
                file: "/etc/sluice.yaml", environment: environment
            ).process.masterKey
        }
        #expect(try place("file:keys/master") == .file("/etc/keys/master"))
        #expect(try place("file:/run/secrets/m") == .file("/run/secrets/m"))
        #expect(try place("\"file:${DIR}/m\"", ["DIR": "/run"]) == .file("/run/m"))
        #expect(try place("env:SLUICE_MASTER_KEY") == .environment("SLUICE_MASTER_KEY"))
        for text in ["file:", "env:", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "${K}"] {
            do {
                _ = try place("\"\(text)\"", ["K": "c2VjcmV0"])
                Issue.record("\(text) is taken")
            } catch {
                #expect("\(error)".contains("`file:PATH` or `env:NAME`"), "\(error)")
                #expect(!"\(error)".contains("c2VjcmV0") && !"\(error)".contains("AAAA"))
            }
        }
    }
}
