// Reads field lines, up to and with the empty line that ends them: the part that a request's head and a response's
// share.
//
// Passive and resumable: `position` is the first byte that is not validated yet, so each byte is looked at once however
// the bytes arrive. Each call appends the fields that it completes; an owner whose table has served others in between
// runs the scan once more from the beginning when the end has been found. Errors come in the order of the bytes, so
// they do not depend on the splits.

package enum FieldLinesStep {
    case incomplete
    /// The place behind the empty line.
    case complete(Int)
    case failed(HTTPError)
}

package struct FieldLines: Sendable {
    private enum Phase: UInt8 { case lineStart, name, blanks, value }

    /// The line that is being read, and how many were.
    private struct Line {
        var phase = Phase.lineStart
        var nameStart = 0
        var nameEnd = 0
        var valueStart = 0
        var hash = HeaderName.hashSeed
        var count = 0
    }

    private var position: Int
    /// As a call left it that could not go on: a call works on a copy, which stays in registers.
    private var line = Line()

    package init(from start: Int) { position = start }

    /// Goes on up to `end`; what lies behind it is not looked at. At most `countMax` fields.
    package mutating func advance(
        _ bytes: ByteView, end: Int, fields: inout FieldTable, countMax: Int
    ) -> FieldLinesStep {
        var place = position
        var line = self.line
        while true {
            if line.phase == .lineStart {
                guard place < end else { return suspend(line, at: place) }
                let first = bytes[place]
                if first == ASCII.carriageReturn { return emptyLine(bytes, line, at: place, end: end) }
                if CharacterClasses.isBlank(first) { return .failed(.leadingWhiteSpace) }
                guard line.count < countMax else { return .failed(.tooManyFields) }
                line.nameStart = place
                line.hash = HeaderName.hashSeed
                line.phase = .name
            }
            if line.phase == .name {
                while place < end, CharacterClasses.isToken(bytes[place]) {
                    line.hash = HeaderName.hashStep(line.hash, bytes[place])
                    place &+= 1
                }
                guard place < end else { return suspend(line, at: place) }
                guard bytes[place] == ASCII.colon, place > line.nameStart else {
                    return .failed(bytes[place] == ASCII.lineFeed ? .bareLineFeed : .badFieldName)
                }
                line.nameEnd = place
                place &+= 1
                line.phase = .blanks
            }
            if line.phase == .blanks {
                while place < end, CharacterClasses.isBlank(bytes[place]) { place &+= 1 }
                guard place < end else { return suspend(line, at: place) }
                line.valueStart = place
                line.phase = .value
            }
            place = CharacterClasses.firstOutsideFieldText(bytes, from: place, to: end)
            guard place < end else { return suspend(line, at: place) }
            if let error = FieldLines.lineEndError(bytes[place]) { return .failed(error) }
            guard place &+ 1 < end else { return suspend(line, at: place) }
            guard bytes[place &+ 1] == ASCII.lineFeed else { return .failed(.bareCarriageReturn) }
            var valueEnd = place
            while valueEnd > line.valueStart, CharacterClasses.isBlank(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
            let field = HeaderField(
                name: ByteRange(start: line.nameStart, count: line.nameEnd - line.nameStart),
                value: ByteRange(start: line.valueStart, count: valueEnd - line.valueStart), hash: line.hash)
            guard fields.append(field) else { return .failed(.tooManyFields) }
            line.count &+= 1
            place &+= 2
            line.phase = .lineStart
        }
    }
    @inline(__always) private mutating func suspend(_ line: Line, at place: Int) -> FieldLinesStep {
        self.line = line
        position = place
        return .incomplete
    }
    @inline(__always) private mutating func emptyLine(
        _ bytes: ByteView, _ line: Line, at place: Int, end: Int
    ) -> FieldLinesStep {
        guard place &+ 1 < end else { return suspend(line, at: place) }
        return bytes[place &+ 1] == ASCII.lineFeed ? .complete(place &+ 2) : .failed(.bareCarriageReturn)
    }
    /// Why `byte` cannot end a line of text; nil for CR.
    @inline(__always) package static func lineEndError(_ byte: UInt8) -> HTTPError? {
        switch byte {
        case ASCII.carriageReturn: nil
        case ASCII.lineFeed: .bareLineFeed
        default: .badFieldValue
        }
    }
}
