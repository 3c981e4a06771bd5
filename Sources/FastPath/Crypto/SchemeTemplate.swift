// The words of a scheme's data: where a value stands, and the template of the signed string. Runs on worker threads at
// start and reload.

/// A bare name or `header:NAME`, `query:NAME`, `form:NAME`, `json:$.a.b`.
package enum ValueLocation: Equatable, Sendable {
    case header(String)
    case query(String)
    case form(String)
    case json(JSONPath)

    /// `key`: what the place is for, in the words of the configuration.
    package init(_ spelling: String, for key: String) throws(SchemeError) {
        let parts = spelling.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            guard SchemeDefinition.isToken(spelling) else {
                throw .badHeader("\(key): \"\(spelling)\" is no header name")
            }
            self = .header(spelling)
            return
        }
        switch parts[0] {
        case "header":
            guard SchemeDefinition.isToken(parts[1]) else {
                throw .badHeader("\(key): \"\(parts[1])\" is no header name")
            }
            self = .header(parts[1])
        case "query":
            guard !parts[1].isEmpty else { throw .badHeader("\(key): query: needs the parameter's name behind it") }
            self = .query(parts[1])
        case "form":
            guard !parts[1].isEmpty else { throw .badHeader("\(key): form: needs the field's name behind it") }
            self = .form(parts[1])
        case "json":
            do throws(JSONPathError) {
                self = .json(try JSONPath(parts[1]))
            } catch { throw .badHeader("\(key): \(error.message)") }
        default:
            throw .badHeader("\(key): \"\(spelling)\" is none of NAME, header:NAME, query:NAME, form:NAME, json:$.PATH")
        }
    }

    package static func == (left: ValueLocation, right: ValueLocation) -> Bool {
        switch (left, right) {
        case (.header(let left), .header(let right)): left.lowercased() == right.lowercased()
        case (.query(let left), .query(let right)), (.form(let left), .form(let right)): left == right
        case (.json(let left), .json(let right)): left == right
        default: false
        }
    }
}

package enum SignedTemplate: Equatable, Sendable {
    case literal(String)
    case id
    case timestamp
    case body
    case method
    /// Scheme, authority and target as the sender used them.
    case url
    case path
    /// What stands behind the `?`, as received.
    case query
    /// The parameters of a form, sorted by name and then by value, each once, decoded, without separators.
    case form
    case value(ValueLocation)

    package static func pieces(of template: String) throws(SchemeError) -> [SignedTemplate] {
        var pieces: [SignedTemplate] = []
        var literal = ""
        var rest = template[...]
        while let character = rest.first {
            guard character == "{" else {
                literal.append(character)
                rest = rest.dropFirst()
                continue
            }
            guard let close = rest.firstIndex(of: "}") else { throw .badTemplate("signed: a { without its }") }
            let name = rest[rest.index(after: rest.startIndex)..<close]
            if !literal.isEmpty { pieces.append(.literal(literal)) }
            literal = ""
            pieces.append(try piece(String(name)))
            rest = rest[rest.index(after: close)...]
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        return pieces
    }

    private static func piece(_ name: String) throws(SchemeError) -> SignedTemplate {
        switch name {
        case "id": return .id
        case "timestamp": return .timestamp
        case "body": return .body
        case "method": return .method
        case "url": return .url
        case "path": return .path
        case "query": return .query
        case "form": return .form
        default:
            guard name.contains(":") else {
                throw .badTemplate(
                    "signed: {\(name)} is none of {timestamp}, {id}, {body}, {method}, {url}, {path}, {query}, "
                        + "{form}, {header:NAME}, {query:NAME}, {form:NAME}, {json:$.PATH}")
            }
            do throws(SchemeError) {
                return .value(try ValueLocation(name, for: "signed"))
            } catch { throw .badTemplate(error.message) }
        }
    }
}
