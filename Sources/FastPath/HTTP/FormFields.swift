// The fields of a form in a body: `application/x-www-form-urlencoded`, and `multipart/form-data` (RFC 7578). One after
// the other, where they lie: nothing is copied, nothing decoded.
//
// Invariants: a body is a form only where its Content-Type says so, and never when it begins as a JSON object or
// array: no body has fields of a form and values of a JSON document at once, so that what is signed in one cannot be
// passed over in the other. (A form of either kind begins with neither bracket: URL encoding escapes them, and parts
// begin with `--`.) A part with a file name is no field; a multipart body that breaks has no field behind the break.
// Every step consumes a byte.

/// Safety: views of one request; lives for one call.
struct FormFields {
    enum Kind: UInt8 { case none, urlEncoded, multipart }
    struct Field {
        var name: ByteView
        var value: ByteView
        /// True exactly when name and value are percent-encoded, with `+` for a space.
        var isEncoded: Bool

        /// True exactly when the field's name, decoded, is `plain`.
        func isNamed(_ plain: ByteView) -> Bool {
            isEncoded ? QueryText.spells(name, plain) : name.equals(plain)
        }
    }

    private(set) var kind = Kind.none
    private var boundary = ByteView.empty
    private let body: ByteView
    private var place = 0

    init(bytes: ByteView, fields: borrowing FieldTable, body: ByteView) {
        self.body = body
        if FormFields.beginsAsJSON(body) { return }
        for index in 0..<fields.count where bytes.slice(fields[index].name).equalsIgnoringCase("content-type") {
            let value = bytes.slice(fields[index].value)
            if FormFields.isType(value, "application/x-www-form-urlencoded") {
                kind = .urlEncoded
            } else if FormFields.isType(value, "multipart/form-data") {
                boundary = FormFields.parameter("boundary", of: value)
                // RFC 2046 §5.1.1.
                if boundary.count > 0, boundary.count <= 70 { beginParts() }
            }
            return
        }
    }
    private static func beginsAsJSON(_ body: ByteView) -> Bool {
        var cursor = JSONCursor(body)
        let first = cursor.peekPastSpace()
        return first == ASCII.openBrace || first == ASCII.openBracket
    }
    private static func isType(_ value: ByteView, _ type: StaticString) -> Bool {
        let count = type.utf8CodeUnitCount
        guard value.count >= count, value.slice(0, count).equalsIgnoringCase(type) else { return false }
        return value.count == count || value[count] == ASCII.semicolon || CharacterClasses.isBlank(value[count])
    }

    mutating func next() -> Field? {
        switch kind {
        case .none: nil
        case .urlEncoded: nextPair()
        case .multipart: nextPart()
        }
    }
    /// The first field called so; nil when there is none.
    mutating func first(named name: ByteView) -> Field? {
        while let field = next() { if field.isNamed(name) { return field } }
        return nil
    }

    private mutating func nextPair() -> Field? {
        while place < body.count {
            var end = place
            var middle = -1
            while end < body.count, body[end] != 0x26 {
                if middle < 0, body[end] == ASCII.equals { middle = end }
                end += 1
            }
            let start = place
            place = end + 1
            if end == start { continue }
            let nameEnd = middle < 0 ? end : middle
            let value = middle < 0 ? ByteView.empty : body.slice(middle + 1, end - middle - 1)
            return Field(name: body.slice(start, nameEnd - start), value: value, isEncoded: true)
        }
        return nil
    }

    // MARK: multipart

    /// What stands before the first delimiter counts for nothing.
    private mutating func beginParts() {
        kind = .multipart
        if isDelimiter(at: 0) {
            place = 2 + boundary.count
        } else {
            place = delimiterLine(from: 0).map { $0 + 4 + boundary.count } ?? body.count
        }
    }
    /// `--` and the boundary.
    private func isDelimiter(at start: Int) -> Bool {
        start + 2 + boundary.count <= body.count && body[start] == 0x2D && body[start + 1] == 0x2D
            && body.slice(start + 2, boundary.count).equals(boundary)
    }
    /// The place of the line end in front of the next delimiter.
    private func delimiterLine(from start: Int) -> Int? {
        var place = start
        while place + 4 + boundary.count <= body.count {
            if body[place] == ASCII.carriageReturn, body[place + 1] == ASCII.lineFeed, isDelimiter(at: place + 2) {
                return place
            }
            place += 1
        }
        return nil
    }
    /// At what follows a delimiter: `--` at the end, or a line end and the next part.
    private mutating func nextPart() -> Field? {
        while place < body.count {
            while place < body.count, CharacterClasses.isBlank(body[place]) { place += 1 }
            guard isLineEnd(at: place) else { break }
            place += 2
            var name: ByteView?
            while !isLineEnd(at: place) {
                guard let end = lineEnd(from: place) else {
                    place = body.count
                    return nil
                }
                if let found = FormFields.fieldName(body.slice(place, end - place)) { name = found }
                place = end + 2
            }
            // The line end behind the head may be the one in front of the delimiter: the value is empty then.
            guard let end = delimiterLine(from: place) else { break }
            let start = min(place + 2, end)
            let value = body.slice(start, end - start)
            place = end + 4 + boundary.count
            if let name { return Field(name: name, value: value, isEncoded: false) }
        }
        place = body.count
        return nil
    }
    private func isLineEnd(at place: Int) -> Bool {
        place + 1 < body.count && body[place] == ASCII.carriageReturn && body[place + 1] == ASCII.lineFeed
    }
    private func lineEnd(from start: Int) -> Int? {
        var place = start
        while place + 1 < body.count {
            if isLineEnd(at: place) { return place }
            place += 1
        }
        return nil
    }
    /// Of `Content-Disposition: form-data; name="x"` without a file's name.
    private static func fieldName(_ line: ByteView) -> ByteView? {
        let header: StaticString = "content-disposition:"
        let count = header.utf8CodeUnitCount
        guard line.count > count, line.slice(0, count).equalsIgnoringCase(header) else { return nil }
        let value = line.slice(count, line.count - count)
        guard parameter("filename", of: value).count == 0, parameter("filename*", of: value).count == 0 else {
            return nil
        }
        let name = parameter("name", of: value)
        return name.count > 0 ? name : nil
    }
    /// The value of a parameter behind the first `;`, without its quotes; a quoted one with a `\` counts as none.
    private static func parameter(_ name: StaticString, of value: ByteView) -> ByteView {
        var place = 0
        while place < value.count, value[place] != ASCII.semicolon { place += 1 }
        while place < value.count {
            place += 1
            while place < value.count, CharacterClasses.isBlank(value[place]) { place += 1 }
            let start = place
            while place < value.count, value[place] != ASCII.equals, value[place] != ASCII.semicolon { place += 1 }
            let found = value.slice(start, place - start)
            guard place < value.count, value[place] == ASCII.equals else { continue }
            place += 1
            let isQuoted = place < value.count && value[place] == ASCII.quote
            if isQuoted { place += 1 }
            let first = place
            while place < value.count, value[place] != (isQuoted ? ASCII.quote : ASCII.semicolon) {
                if isQuoted, value[place] == ASCII.backslash { return .empty }
                place += 1
            }
            if found.equalsIgnoringCase(name) { return value.slice(first, place - first) }
            if isQuoted { place += 1 }
        }
        return .empty
    }
}
