// The official cases of draft 7 (Debian's `json-schema-test-suite`), run over the validator. Where the package is not
// installed they are skipped, and the skip says so; `scripts/setup.sh test` installs it.
import Engine
import Foundation
import Testing

@Suite struct EventSchemaSuiteTests {
    static let folder = "/usr/share/json-schema-test-suite/tests/draft7"
    static var isThere: Bool { FileManager.default.fileExists(atPath: folder + "/type.json") }

    private struct Group: Decodable {
        struct Case: Decodable {
            let description: String
            let data: PlainJSON
            let valid: Bool
        }
        let description: String
        let schema: PlainJSON
        let tests: [Case]
    }
    /// What refers to another document is refused when it is saved, here as in the gateway.
    private static let remote: Set<String> = [
        "definitions.json: valid definition", "definitions.json: invalid definition",
        "ref.json: remote ref, containing refs itself",
    ]

    /// The texts of schema and data as they stand in the file, so that no number is read on the way.
    private func groups(_ name: String) throws -> [(Group, JSONDocument)] {
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: EventSchemaSuiteTests.folder + "/" + name)))
        let document = try JSONDocument(bytes)
        let groups = try JSONDecoder().decode([Group].self, from: Data(bytes))
        return zip(groups, document.elements(of: 0)).map { group, place in
            (group, try! JSONDocument(Array(document.written(place))))
        }
    }
    private func member(_ document: JSONDocument, _ place: Int, _ name: String) throws -> Int {
        try #require(document.members(of: place).first { document.string($0.name) == name }?.value)
    }

    private func run(_ name: String, isRequired: Bool = true) throws -> Int {
        var count = 0
        for (group, document) in try groups(name) {
            let title = "\(name): \(group.description)"
            let schema = Array(document.written(try member(document, 0, "schema")))
            guard !EventSchemaSuiteTests.remote.contains(title) else {
                #expect(throws: SchemaProblem.self) { try EventSchema(schema, dialect: .draft7) }
                continue
            }
            let compiled = try EventSchema(schema, dialect: .draft7)
            let cases = document.elements(of: try member(document, 0, "tests"))
            for (test, place) in zip(group.tests, cases) {
                let body = Array(document.written(try member(document, place, "data")))
                let isValid = compiled.verdict(of: body) == .valid
                #expect(isValid == test.valid, "\(title): \(test.description)")
                count += 1
            }
        }
        return count
    }

    @Test(
        .enabled(
            if: EventSchemaSuiteTests.isThere,
            "not installed: json-schema-test-suite (scripts/setup.sh test); the official cases are not run"))
    func passesTheRequiredCasesOfDraft7() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: EventSchemaSuiteTests.folder)
            .filter { $0.hasSuffix(".json") && $0 != "refRemote.json" }
        var count = 0
        for file in files.sorted() { count += try run(file) }
        #expect(count > 350)
    }
    @Test(
        .enabled(
            if: EventSchemaSuiteTests.isThere,
            "not installed: json-schema-test-suite (scripts/setup.sh test); the official cases are not run"))
    func passesTheCasesOfTheFormatsThatItAsserts() throws {
        var count = 0
        for format in ["date-time", "date", "email", "hostname", "ipv4", "ipv6", "time", "uri"] {
            count += try run("optional/format/\(format).json")
        }
        count += try run("optional/bignum.json")
        count += try run("optional/zeroTerminatedFloats.json")
        #expect(count >= 60)
    }
    @Test(
        .enabled(
            if: EventSchemaSuiteTests.isThere,
            "not installed: json-schema-test-suite (scripts/setup.sh test); the official cases are not run"))
    func refusesEveryReferenceToAnotherDocument() throws {
        for (_, document) in try groups("refRemote.json") {
            let schema = Array(document.written(try member(document, 0, "schema")))
            #expect(throws: SchemaProblem.self) { try EventSchema(schema, dialect: .draft7) }
        }
    }
}
