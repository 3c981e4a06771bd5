// A JSON Schema, compiled: made once, when it is saved, then run by any thread. Draft 7 (and 6), and of 2019-09 and
// 2020-12 what means the same or can be told apart by its keyword (docs/schemas.md).
//
// Invariants: an immutable value; what cannot be run within `SchemaBounds`, refers outside or back to itself without
// reading anything, or has an expression that RE2 does not take, is refused here with its place.
import FastPath

/// Which rules a schema is read by, where they differ.
package enum SchemaDialect: Sendable {
    /// Beside `$ref` nothing counts.
    case draft7
    case draft2019
    /// A schema that does not say: draft 7, and what is read otherwise elsewhere is refused.
    case unsaid
}

package struct EventSchema: Sendable {
    let rules: [SchemaRule]
    let root: RuleIndex
    let document: JSONDocument
    /// All expressions in it.
    let patterns: [LinearPattern]

    /// `dialect`: instead of what the schema says itself.
    package init(_ text: [UInt8], dialect: SchemaDialect? = nil) throws(SchemaProblem) {
        guard text.count <= SchemaBounds.textBytesMax else {
            throw SchemaProblem("#", "is larger than \(SchemaBounds.textBytesMax) bytes")
        }
        let document: JSONDocument
        do throws(JSONProblem) { document = try JSONDocument(text) } catch { throw SchemaProblem("#", error.message) }
        var compiler = try SchemaCompiler(document, dialect: dialect)
        root = try compiler.compile()
        rules = compiler.rules
        patterns = compiler.patterns
        self.document = document
    }
    package init(_ text: String) throws(SchemaProblem) { try self.init(Array(text.utf8)) }

    /// How many subschemas it has.
    package var ruleCount: Int { rules.count }

    package func verdict(of body: [UInt8]) -> SchemaVerdict {
        var stepsLeft = SchemaBounds.stepCountMax
        return verdict(of: body, stepsLeft: &stepsLeft)
    }
    /// `stepsLeft`: of all that are checked with it.
    package func verdict(of body: [UInt8], stepsLeft: inout Int) -> SchemaVerdict {
        let document: JSONDocument
        do throws(JSONProblem) { document = try JSONDocument(body) } catch {
            switch error {
            case .tooDeep, .tooManyValues, .numberTooLong:
                return .violated([
                    SchemaViolation(
                        instancePath: "", schemaPath: "#", keyword: "limits",
                        message: "must be within the bounds of a check; it \(error.message)")
                ])
            default: return .notJSON(error)
            }
        }
        var run = SchemaRun(self, document, stepCountMax: min(stepsLeft, SchemaBounds.stepCountMax))
        let verdict = run.verdict()
        stepsLeft -= run.steps
        return verdict
    }
}
