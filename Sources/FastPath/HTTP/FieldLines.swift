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

    private var phase = Phase.lineStart
    private var position: Int
    // Of the line that is being read, for a call that goes on within it.
    private var nameStart: Int
    private var nameEnd = 0
    private var valueStart = 0
    private var hash = HeaderName.hashSeed
    private var count = 0

    package init(from start: Int) {
        position = start
        nameStart = start
    }

    /// Goes on up to `end`; what lies behind it is not looked at. At most `countMax` fields.
    package mutating func advance(
        _ bytes: ByteView, end: Int, fields: inout FieldTable, countMax: Int
    ) -> FieldLinesStep {
        var place = position
        while true {
            if phase == .lineStart {
                guard place < end else { return suspend(at: place) }
                let first = bytes[place]
                if first == ASCII.carriageReturn { return emptyLine(bytes, at: place, end: end) }
                if CharacterClasses.isBlank(first) { return .failed(.leadingWhiteSpace) }
                guard count < countMax else { return .failed(.tooManyFields) }
                nameStart = place
                hash = HeaderName.hashSeed
                phase = .name
            }
            if phase == .name {
                var hash = self.hash
                while place < end, CharacterClasses.isToken(bytes[place]) {
                    hash = HeaderName.hashStep(hash, bytes[place])
                    place &+= 1
                }
                self.hash = hash
                guard place < end else { return suspend(at: place) }
                guard bytes[place] == ASCII.colon, place > nameStart else {
                    return .failed(bytes[place] == ASCII.lineFeed ? .bareLineFeed : .badFieldName)
                }
                nameEnd = place
                place &+= 1
                phase = .blanks
            }
            if phase == .blanks {
                while place < end, CharacterClasses.isBlank(bytes[place]) { place &+= 1 }
                guard place < end else { return suspend(at: place) }
                valueStart = place
                phase = .value
            }
            place = CharacterClasses.firstOutsideFieldText(bytes, from: place, to: end)
            guard place < end else { return suspend(at: place) }
            if let error = FieldLines.lineEndError(bytes[place]) { return .failed(error) }
            guard place &+ 1 < end else { return suspend(at: place) }
            guard bytes[place &+ 1] == ASCII.lineFeed else { return .failed(.bareCarriageReturn) }
            var valueEnd = place
            while valueEnd > valueStart, CharacterClasses.isBlank(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
            let field = HeaderField(
                name: ByteRange(start: nameStart, count: nameEnd - nameStart),
                value: ByteRange(start: valueStart, count: valueEnd - valueStart), hash: hash)
            guard fields.append(field) else { return .failed(.tooManyFields) }
            count &+= 1
            place &+= 2
            phase = .lineStart
        }
    }
    @inline(__always) private mutating func suspend(at place: Int) -> FieldLinesStep {
        position = place
        return .incomplete
    }
    @inline(__always) private mutating func emptyLine(_ bytes: ByteView, at place: Int, end: Int) -> FieldLinesStep {
        guard place &+ 1 < end else { return suspend(at: place) }
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
