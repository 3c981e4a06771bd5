// The character classes and the word-wide searches against their definitions, byte value by byte value.
import FastPath
import TestSupport
import Testing

@Suite struct HTTPCharacterTests {
    @Test func classesAreThoseOfTheStandards() {
        #expect(CharacterClasses.table.utf8CodeUnitCount == 256)
        let letters = Set(UInt8(ascii: "a")...UInt8(ascii: "z")).union(UInt8(ascii: "A")...UInt8(ascii: "Z"))
        let digits = Set(UInt8(ascii: "0")...UInt8(ascii: "9"))
        let tokens = letters.union(digits).union("!#$%&'*+-.^_`|~".utf8)
        let names = letters.union(digits).union("-._~!$&'()*+;=%".utf8)
        let hexadecimals = digits.union("abcdefABCDEF".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(CharacterClasses.isToken(byte) == tokens.contains(byte), "\(byte)")
            #expect(CharacterClasses.isRegisteredName(byte) == names.contains(byte), "\(byte)")
            #expect(CharacterClasses.isHexadecimal(byte) == hexadecimals.contains(byte), "\(byte)")
            #expect(CharacterClasses.isDigit(byte) == digits.contains(byte), "\(byte)")
            #expect(CharacterClasses.isLetter(byte) == letters.contains(byte), "\(byte)")
            #expect(CharacterClasses.isFieldText(byte) == (byte == 9 || byte >= 32 && byte != 127), "\(byte)")
        }
    }
    @Test func searchesFindEachByteAtEachPlaceUpToTheGuardPage() {
        let guarded = GuardedBytes(capacity: 40)
        for count in 0...26 {
            for place in 0..<max(count, 1) {
                for byte in UInt8.min...UInt8.max {
                    // What follows is full of bytes that a borrow could be mistaken for.
                    var bytes = [UInt8](repeating: 0x61, count: place) + [byte]
                    bytes += [UInt8](repeating: 0x21, count: max(0, count - bytes.count))
                    if count == 0 { bytes = [] }
                    let view = guarded.fill(bytes)
                    let isText = byte == 9 || byte >= 32 && byte != 127
                    let isPrintable = byte > 32 && byte < 127
                    let text = CharacterClasses.firstOutsideFieldText(view, from: 0, to: bytes.count)
                    let printable = CharacterClasses.firstOutsidePrintable(view, from: 0, to: bytes.count)
                    guard text == (isText || bytes.isEmpty ? bytes.count : place),
                        printable == (isPrintable || bytes.isEmpty ? bytes.count : place)
                    else {
                        Issue.record("byte \(byte) at \(place) of \(count): \(text), \(printable)")
                        return
                    }
                }
            }
        }
    }
    @Test func knowsItsFieldsByNameInAnyCase() {
        let names: [(String, KnownField)] = [
            ("Host", .host), ("content-length", .contentLength), ("TRANSFER-encoding", .transferEncoding),
            ("ConnectioN", .connection), ("Expect", .expect), ("Retry-After", .retryAfter),
        ]
        for (name, known) in names {
            Array(name.utf8).withView { view in
                let field = HeaderField(
                    name: ByteRange(start: 0, count: view.count), value: .empty, hash: HeaderName.hash(of: view))
                #expect(KnownField(field, in: view) == known, "\(name)")
            }
        }
        // The hash finds a candidate only: the same hash with another name is another field.
        Array("Hosts".utf8).withView { view in
            let field = HeaderField(name: ByteRange(start: 0, count: 5), value: .empty, hash: HeaderName("host").hash)
            #expect(KnownField(field, in: view) == nil)
        }
    }
}
