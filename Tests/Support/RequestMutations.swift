// Everything that a thief may change in a request that was accepted: each byte of what is signed and of the signature,
// each header that counts doubled, dropped, re-cased, padded. None of it may be accepted; a header's name in other
// letters must be. Knows nothing of schemes: it changes bytes, the test says what is accepted.

package struct RequestMutation {
    package let what: String
    package let bytes: [UInt8]
}

package struct RequestMutations {
    package let raw: [UInt8]
    /// The names of the headers that count: signature, timestamp, id, and others that are signed.
    package let headers: [String]
    /// As many bytes at the beginning of a header's value have no case (`Bearer `).
    package var caselessBytes = 0
    /// False for schemes that leave the body unsigned.
    package var changesBody = true
    /// What is put behind a value. In a list an entry that does not count is no forgery, so nothing there begins one.
    package var paddings = ["0", "=", "A"]
    /// True for the bytes of the target and the version too, where the URL is signed.
    package var changesTarget = false
    /// True for the method's bytes too, where it is signed beside the URL.
    package var changesMethod = false

    package init(raw: [UInt8], headers: [String]) {
        self.raw = raw
        self.headers = headers
    }

    private var headEnd: Int {
        var place = 0
        while place + 4 <= raw.count, Array(raw[place..<place + 4]) != [13, 10, 13, 10] { place += 1 }
        return place + 4
    }
    private func lines() -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        while start < headEnd - 2 {
            var end = start
            while raw[end] != 13 { end += 1 }
            lines.append(Array(raw[start..<end]))
            start = end + 2
        }
        return lines
    }
    private func joined(_ lines: [[UInt8]], _ body: [UInt8]) -> [UInt8] {
        let fitting = lines.map { line -> [UInt8] in
            String(decoding: line, as: UTF8.self).lowercased().hasPrefix("content-length:")
                ? Array("Content-Length: \(body.count)".utf8) : line
        }
        return fitting.flatMap { $0 + [13, 10] } + [13, 10] + body
    }
    private func place(of header: String, in lines: [[UInt8]]) -> Int? {
        lines.firstIndex { String(decoding: $0, as: UTF8.self).lowercased().hasPrefix(header.lowercased() + ":") }
    }

    /// The header's name in other letters: these must be accepted.
    package var harmless: [RequestMutation] {
        let lines = lines()
        let body = Array(raw[headEnd...])
        return headers.compactMap { header in
            guard let place = place(of: header, in: lines) else { return nil }
            var changed = lines
            for index in 0..<header.utf8.count where changed[place][index] | 0x20 >= 0x61 {
                changed[place][index] ^= 0x20
            }
            return RequestMutation(what: "\(header) with its name re-cased", bytes: joined(changed, body))
        }
    }

    /// None of these may be accepted.
    package var forgeries: [RequestMutation] {
        let lines = lines()
        let body = Array(raw[headEnd...])
        var all: [RequestMutation] = []
        for header in headers {
            guard let place = place(of: header, in: lines) else { continue }
            all += headerForgeries(header, place, lines, body)
        }
        if changesTarget {
            // All but the version's last digit: HTTP/1.0 signs the same.
            let begin = changesMethod ? 0 : (lines[0].firstIndex(of: 0x20) ?? 0)
            let caseless = RequestMutations.caselessDigits(lines[0])
            for index in lines[0].indices[begin...].dropLast() {
                for bit in [0x01, 0x20] as [UInt8] where !(bit == 0x20 && caseless.contains(index)) {
                    var changed = lines
                    changed[0][index] ^= bit
                    all.append(RequestMutation(what: "request line, byte \(index)", bytes: joined(changed, body)))
                }
            }
        }
        if changesBody {
            let caseless = RequestMutations.caselessDigits(body)
            for index in body.indices {
                for bit in [0x01, 0x20, 0x80] as [UInt8] where !(bit == 0x20 && caseless.contains(index)) {
                    var changed = body
                    changed[index] ^= bit
                    all.append(RequestMutation(what: "body, byte \(index)", bytes: joined(lines, changed)))
                }
            }
            all.append(RequestMutation(what: "body and a space", bytes: joined(lines, body + [0x20])))
            all.append(RequestMutation(what: "no body", bytes: joined(lines, [])))
            if !body.isEmpty {
                all.append(RequestMutation(what: "body cut", bytes: joined(lines, Array(body.dropLast()))))
            }
        }
        return all.filter { $0.bytes != raw }
    }

    /// The letters of long runs of hexadecimal digits, which mean the same in either case (RFC 4648 §8).
    package static func caselessDigits(_ bytes: [UInt8]) -> Set<Int> {
        var letters: Set<Int> = []
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, RequestMutations.isDigit(bytes[end]) { end += 1 }
            // No signature is shorter than SHA-1's, and what is shorter may be a word.
            if end - start >= 40 { letters.formUnion((start..<end).filter { bytes[$0] >= 0x61 }) }
            start = end + 1
        }
        return letters
    }
    private static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    private func headerForgeries(
        _ header: String, _ place: Int, _ lines: [[UInt8]], _ body: [UInt8]
    ) -> [RequestMutation] {
        var all: [RequestMutation] = []
        func add(_ what: String, _ lines: [[UInt8]]) {
            all.append(RequestMutation(what: "\(header) \(what)", bytes: joined(lines, body)))
        }
        var start = header.utf8.count + 1
        while start < lines[place].count, lines[place][start] == 0x20 { start += 1 }
        let caseless = RequestMutations.caselessDigits(lines[place]).union(start..<start + caselessBytes)
        for index in start..<lines[place].count {
            for bit in [0x01, 0x02, 0x20] as [UInt8] where !(bit == 0x20 && caseless.contains(index)) {
                var changed = lines
                changed[place][index] ^= bit
                add("byte \(index - start)", changed)
            }
            var cut = lines
            cut[place].remove(at: index)
            add("without byte \(index - start)", cut)
        }
        for padding in paddings {
            var changed = lines
            changed[place] += Array(padding.utf8)
            add("and \(padding)", changed)
        }
        var doubled = lines
        doubled.insert(lines[place], at: place)
        add("twice", doubled)
        var dropped = lines
        dropped.remove(at: place)
        add("dropped", dropped)
        var recased = lines
        for index in start..<lines[place].count where !caseless.contains(index) {
            let byte = lines[place][index]
            if byte | 0x20 >= 0x61, byte | 0x20 <= 0x7A { recased[place][index] ^= 0x20 }
        }
        if recased != lines { add("re-cased", recased) }
        return all
    }
}
