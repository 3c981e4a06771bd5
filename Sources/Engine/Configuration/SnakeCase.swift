// Names as `/api/v1` writes them: `pageSizeMax` is `page_size_max`. One spelling for what is written and what is read.
// Pure.

enum SnakeCase {
    static func of(_ name: String) -> String {
        guard name.utf8.contains(where: isCapital) else { return name }
        var bytes: [UInt8] = []
        append(name, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
    /// A word begins at a capital before a small letter, and where capitals begin: `sourceURLMax` has three. Declared
    /// names are ASCII.
    static func append(_ name: String, to bytes: inout [UInt8]) {
        let letters = Array(name.utf8)
        var (index, written) = (0, 0)
        func word(to end: Int) {
            if written > 0 { bytes.append(UInt8(ascii: "_")) }
            for letter in letters[written..<end] { bytes.append(isCapital(letter) ? letter | 0x20 : letter) }
            written = end
        }
        while let capital = letters[min(index + 1, letters.count)...].firstIndex(where: isCapital) {
            word(to: capital)
            guard let small = letters[capital...].firstIndex(where: isSmall) else { break }
            if small > capital + 1 { word(to: small - 1) }
            index = small
        }
        word(to: letters.count)
    }
    static func isCapital(_ letter: UInt8) -> Bool { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= letter }
    private static func isSmall(_ letter: UInt8) -> Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= letter }
}
