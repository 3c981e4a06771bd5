// A place in a text of JSON, and the steps over it that every reading of JSON takes: white space, words, numbers. Pure.
//
// Invariant: a step moves on or throws, and never beyond the end.

package struct JSONPlace: Sendable {
    /// Characters of a number.
    package static let numberMax = 512
    package let text: [UInt8]
    package var place = 0

    package init(_ text: [UInt8]) { self.text = text }

    /// 0 behind the end, which is no byte of JSON.
    package var next: UInt8 { place < text.count ? text[place] : 0 }
    package var isAtEnd: Bool { place == text.count }

    package mutating func passSpace() {
        while place < text.count {
            switch text[place] {
            case 0x20, 0x09, 0x0A, 0x0D: place += 1
            default: return
            }
        }
    }
    package mutating func pass(_ byte: UInt8) throws(JSONProblem) {
        guard next == byte else { throw .malformed(place) }
        place += 1
    }
    package mutating func passWord(_ word: String) throws(JSONProblem) {
        let end = place + word.utf8.count
        guard end <= text.count, text[place..<end].elementsEqual(word.utf8) else { throw .malformed(place) }
        place = end
    }
    /// True exactly when it is written without a fraction and an exponent.
    package mutating func passNumber() throws(JSONProblem) -> Bool {
        let start = place
        var isWhole = true
        if next == UInt8(ascii: "-") { place += 1 }
        if next == UInt8(ascii: "0") { place += 1 } else { try passDigits() }
        if next == UInt8(ascii: ".") {
            place += 1
            isWhole = false
            try passDigits()
        }
        if next | 0x20 == UInt8(ascii: "e") {
            place += 1
            isWhole = false
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { place += 1 }
            try passDigits()
        }
        guard place - start <= JSONPlace.numberMax else { throw .numberTooLong }
        return isWhole
    }
    private mutating func passDigits() throws(JSONProblem) {
        let start = place
        while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { place += 1 }
        guard place > start else { throw .malformed(place) }
    }
}
