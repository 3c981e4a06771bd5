// The page about the ingest port lists every reason that a request is refused for, wherever in the code it comes from.
import FastPath
import Foundation
import Testing

@Suite struct ReasonPageTests {
    private var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }
    /// Those that the loops write themselves.
    private func literalReasons() throws -> [String] {
        let folder = root.appendingPathComponent("Sources/FastPath/Ingest")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.filter { $0.pathExtension == "swift" }.flatMap { file in
            let text = try String(contentsOf: file, encoding: .utf8)
            return text.matches(of: /reason: "([a-z_]+)"/).map { String($0.output.1) }
        }
    }
    @Test func thePageHasEveryReasonOfARefusal() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/http-api.md"), encoding: .utf8)
        var reasons = SignatureRejection.allCases.map(\.rawValue) + HTTPError.allCases.map(\.rawValue)
        reasons += JournalRefusal.allCases.map(\.rawValue)
        let literal = try literalReasons()
        #expect(literal.contains("not_found"))
        for reason in reasons + literal { #expect(page.contains("`\(reason)`"), "\(reason)") }
    }
}
