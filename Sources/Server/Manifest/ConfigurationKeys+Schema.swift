// The keys of a source's schemas: a mapping, `file:PATH`, or the same as JSON in a text. What it means is the
// registry's affair; its answer comes back to the line.
import Engine
import Foundation
import Yams

extension ConfigurationKeys {
    static let sourceSchemas: [ConfigurationKey<SourceConfiguration>] = [schema, schemas]

    private static let schema = ConfigurationKey<SourceConfiguration>(
        name: "schema", form: "schema", range: "a mapping, true, false or file:PATH; see docs/schemas.md"
    ) { node, source, reading in
        source.schemas.all = text(node, "schema", reading)
    }
    private static let schemas = ConfigurationKey<SourceConfiguration>(
        name: "schemas", form: "mapping", range: "event type to schema, at most \(SourceSchemaSettings.typeCountMax)"
    ) { node, source, reading in
        guard let mapping = node.mapping else {
            return reading.report(node, "`schemas` takes a mapping of event types to schemas")
        }
        for (key, value) in mapping {
            guard let type = key.scalar?.string, !type.isEmpty else {
                reading.report(key, "`schemas` has a key that is no event type")
                continue
            }
            source.schemas.byType[type] = text(value, "schemas: \(type)", reading)
        }
    }

    /// Nil, and reported, where there is none. A `${NAME}` in it is no variable.
    private static func text(_ node: Node, _ key: String, _ reading: ConfigurationReading) -> String? {
        guard let scalar = node.scalar else {
            do throws(YAMLValue.Problem) { return try YAMLValue.json(node).json } catch {
                reading.report(error.line > 0 ? error.line : node.mark?.line ?? 0, "`\(key)` \(error.message)")
                return nil
            }
        }
        guard !scalar.string.isEmpty else {
            reading.report(node, "`\(key)` has no value; set one or remove the line")
            return nil
        }
        guard scalar.string.hasPrefix("file:") else { return scalar.string }
        return file(String(scalar.string.dropFirst(5)), node, key, reading)
    }
    private static func file(
        _ path: String, _ node: Node, _ key: String, _ reading: ConfigurationReading
    ) -> String? {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: reading.resolve(path: path)))
            defer { try? handle.close() }
            let bytes = try handle.read(upToCount: SchemaBounds.textBytesMax + 1) ?? Data()
            guard bytes.count <= SchemaBounds.textBytesMax else {
                reading.report(
                    node, "`\(key)`: the schema file `\(path)` has more than \(SchemaBounds.textBytesMax) bytes")
                return nil
            }
            guard let text = String(data: bytes, encoding: .utf8) else {
                reading.report(node, "`\(key)`: the schema file `\(path)` is not UTF-8 text")
                return nil
            }
            return text
        } catch {
            let reason = ConfigurationReading.reason(of: error)
            reading.report(node, "`\(key)`: cannot read the schema file `\(path)`: \(reason)")
            return nil
        }
    }
}
