// Header fields and credentials of an endpoint as the file spells them and as the API takes and shows them.
import Engine
import FastPath
import Foundation
import Server
import Testing

@Suite struct AuthorizationSettingsTests {
    private static let head = "sources: []\nendpoints:\n  - name: e\n    url: http://hooks.example.com/\n"

    private func read(_ lines: String, _ environment: [String: String] = [:]) throws -> EndpointConfiguration {
        let read = try ConfigurationFile.parse(Self.head + lines, file: "c.yaml", environment: environment)
        return try #require(read.endpoints.first)
    }
    private func problem(_ lines: String) -> String {
        do {
            _ = try read(lines)
            return "nothing is wrong"
        } catch let error as ConfigurationError {
            return error.problems.map { "\($0.line): \($0.message)" }.joined(separator: "\n")
        } catch { return "\(error)" }
    }

    @Test func theFileReadsAllOfThem() throws {
        let basic = try read("    authorization: { basic: { username: u, password: \"${PASS}\" } }\n", ["PASS": "p w"])
        #expect(basic.policies.authorization?.basic?.password == "p w")
        #expect(try read("    authorization: { bearer: t }\n").policies.authorization?.bearer == "t")
        let full = try read(
            """
                headers: { X-Api-Key: "${KEY}", X-Plain: seen }
                authorization:
                  oauth2:
                    token_url: https://login.example/token
                    client_id: c
                    client_secret: "${SECRET}"
                    scopes: [a, b]
                    audience: x
                    auth_style: body
                    token_time: 2m
                    endpoint_tls: false
            """, ["KEY": "k", "SECRET": "s"])
        #expect(full.extras.fields.map { "\($0.name)=\($0.value)" } == ["X-Api-Key=k", "X-Plain=seen"])
        let oauth = try #require(full.policies.authorization?.oauth2)
        #expect(oauth.tokenURL == "https://login.example/token" && oauth.clientID == "c" && oauth.clientSecret == "s")
        #expect(oauth.scopes == ["a", "b"] && oauth.audience == "x" && oauth.authStyle == .body)
        #expect(oauth.tokenMillis == 120_000 && !oauth.usesEndpointTLS)
        let short = "{ token_url: \"https://l/t\", client_id: c, client_secret: s }"
        let plain = try read("    authorization: { oauth2: \(short) }\n")
        #expect(plain.policies.authorization?.oauth2?.authStyle == .basic)
    }
    @Test func theFileSaysWhatIsWrongWithoutTheValue() {
        for (lines, words) in [
            ("    authorization: { baerer: geheim }\n", "did you mean `bearer`?"),
            ("    authorization: { basic: { username: u } }\n", "needs `password`"),
            ("    authorization: { oauth2: { client_id: c, client_secret: geheim } }\n", "needs `token_url`"),
            ("    authorization: { oauth2: { token_url: u, client_id: c, client_secret: geheim, auth_style: post } }\n",
                "it takes basic, body"),
            ("    headers: geheim\n", "takes names and values"),
            ("    authorization: geheim\n", "takes keys"),
        ] {
            let said = problem(lines)
            #expect(said.contains(words) && !said.contains("geheim"), "\(said)")
        }
    }

    private func document(_ json: String) -> Data {
        Data(("{\"name\":\"e\",\"url\":\"http://hooks.example.com/\"," + json + "}").utf8)
    }
    private func draft(_ json: String) throws -> EndpointDraft {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(EndpointDraft.self, from: document(json))
    }
    @Test func theAPITakesThemByTheirForm() throws {
        let made = try draft(
            """
            "headers":{"X-Api-Key":"k"},"authorization":{"oauth2":{"token_url":"https://l.example/t","client_id":"c",\
            "client_secret":"s","scopes":["a"],"auth_style":"body","token_time":"1m"}}
            """)
        #expect(made.headers == ["X-Api-Key": "k"] && made.authorization?.oauth2?.clientSecret == "s")
        #expect(made.authorization?.oauth2?.authStyle == .body)
        for json in [
            "\"authorization\":{\"bearer\":7}", "\"authorization\":{\"basic\":{\"username\":\"u\"}}",
            "\"authorization\":{\"digest\":\"x\"}", "\"headers\":[\"a\"]",
            "\"authorization\":{\"oauth2\":{\"token_url\":\"u\",\"client_id\":\"c\",\"client_secret\":\"s\","
                + "\"token_time\":\"1s\"}}",
        ] {
            let value = try JSONDecoder().decode(JSONValue.self, from: document(json))
            #expect(!SchemaCheck.errors(value, EndpointDraft.schema).isEmpty, "\(json)")
        }
    }
}
