// JSON Schemas: a first line that is a schema, and a body. What compiles gives the same verdict twice, within its bound
// of steps, and under `not` twice; `allOf` with itself changes nothing.
import Engine

enum SchemaFuzz {
    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let parts = lines(input, 1)
        let (text, body) = (parts[0], parts[1])
        let schema: EventSchema
        do throws(SchemaProblem) { schema = try EventSchema(text) } catch {
            return try hold(!error.message.isEmpty, "a problem that says nothing")
        }
        var left = 1 << 20
        let verdict = schema.verdict(of: body, stepsLeft: &left)
        try hold(left <= 1 << 20, "steps that were given back")
        try hold(schema.verdict(of: body) == verdict || left < 1 << 19, "another verdict the second time")
        if case .violated(let violations) = verdict {
            try hold(!violations.isEmpty, "violated, and by nothing")
            for violation in violations { try hold(!violation.message.isEmpty, "a violation that says nothing") }
        }
        // A reference is relative to the whole schema: wrapped, it leads elsewhere. So does a word at the root.
        let plain = String(decoding: text, as: UTF8.self)
        guard !plain.contains("$"), !plain.contains("\\u0024"), plain.first == "{", left > 1 << 19 else { return }
        for (wrap, isValid) in [("{\"allOf\":[@,@]}", true), ("{\"not\":{\"not\":@}}", true), ("{\"not\":@}", false)] {
            let outer = wrap.split(separator: "@", omittingEmptySubsequences: false).map { Array($0.utf8) }
            guard let wrapped = try? EventSchema(Array(outer.joined(separator: text))) else { continue }
            let whole = wrapped.verdict(of: body)
            switch (verdict, whole) {
            case (.valid, .valid): try hold(isValid, "valid, and in \(wrap) too")
            case (.valid, .violated(let found)):
                try hold(!isValid || found.contains { $0.keyword == "limits" }, "valid, and in \(wrap) not: \(found)")
            case (.violated(let found), .valid):
                try hold(!isValid || found.contains { $0.keyword == "limits" }, "violated, and in \(wrap) valid")
            default: break
            }
        }
    }
}
