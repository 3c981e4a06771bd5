// Finds in one text what a redaction looks for: one pass that stops at the few bytes which every find has (`@`,
// `:`, `=`, `-`, `_`, `.`, `/`, a blank) and looks around
// there. No expression is run, nothing is allocated but the list of finds.
//
// Invariants: every look backwards is bounded by a constant or ends where the last one of its kind began, so that a
// text costs time by its length; a find lies inside the text; no find begins inside what has taken the place of an
// earlier one (`[REDACTED_…]`, `ns-…`), so that a second pass over what came out finds nothing.

package struct RedactionScan {
    private static let nameBytesMax = 64
    private static let localBytesMax = 64
    private static let blankCountMax = 8

    private let text: ByteView
    private let kinds: RedactionKinds
    package private(set) var finds: [RedactionFind] = []
    /// Behind the last URL that was looked through, the last value of a name, the last token: what is inside is not
    /// looked at for another of its kind, so that each byte is passed once.
    private var urlEnd = 0
    private var valueEnd = 0
    private var tokenEnd = 0

    /// All finds, in no order; they may overlap.
    package static func finds(in text: ByteView, _ kinds: RedactionKinds) -> [RedactionFind] {
        var scan = RedactionScan(text: text, kinds: kinds)
        scan.run()
        return scan.finds
    }
    private init(text: ByteView, kinds: RedactionKinds) {
        self.text = text
        self.kinds = kinds
    }

    private mutating func run() {
        var place = 0
        let count = text.count
        while place < count {
            let byte = text[place]
            if RedactionBytes.isMark(byte) { look(byte, at: place) }
            place &+= 1
        }
    }
    @inline(__always) private mutating func look(_ byte: UInt8, at place: Int) {
        switch byte {
        case UInt8(ascii: "@"): lookForEmail(place)
        case UInt8(ascii: ":"):
            lookForName(place)
            lookForURL(place)
            lookForIPv6(place)
        case UInt8(ascii: "="): lookForName(place)
        case UInt8(ascii: "-"): lookForDashedToken(place)
        case UInt8(ascii: "_"): lookForGitHubToken(place)
        case UInt8(ascii: "."): lookForIPv4(place)
        case UInt8(ascii: "/"): lookForNamespace(place, behind: "namespaces")
        default: lookBehindBlank(place)
        }
    }

    // MARK: small steps

    @inline(__always) private func at(_ place: Int) -> UInt8 { place >= 0 && place < text.count ? text[place] : 0 }
    /// True exactly when `word` ends before `end`, without case, and begins there at no letter's or digit's side.
    @inline(__always) private func stands(_ word: StaticString, before end: Int) -> Bool {
        let start = end - word.utf8CodeUnitCount
        guard start >= 0, text.slice(start, word.utf8CodeUnitCount).equalsIgnoringCase(word) else { return false }
        return !RedactionBytes.isWord(at(start - 1))
    }
    @inline(__always) private func end(of set: RedactionBytes.Set, from start: Int) -> Int {
        var end = start
        while end < text.count, RedactionBytes.has(set, text[end]) { end += 1 }
        return end
    }
    private mutating func found(_ kind: RedactionKind, _ start: Int, _ end: Int, valueStart: Int? = nil) {
        finds.append(RedactionFind(start: start, end: end, valueStart: valueStart ?? start, kind: kind))
    }

    // MARK: tokens with a form of their own

    private mutating func lookForDashedToken(_ dash: Int) {
        guard dash >= tokenEnd else { return }
        if kinds.contains(.slackToken), dash >= 4, text.slice(dash - 4, 3).equals("xox"),
            CharacterClasses.isLetter(text[dash - 1]) || CharacterClasses.isDigit(text[dash - 1]),
            !RedactionBytes.isWord(at(dash - 5))
        {
            let end = self.end(of: .slack, from: dash + 1)
            if end > dash + 1 { found(.slackToken, dash - 4, end) }
            tokenEnd = end
        }
        if kinds.contains(.gitlabToken), dash >= 5, text.slice(dash - 5, 5).equals("glpat"),
            !RedactionBytes.isWord(at(dash - 6))
        {
            let end = self.end(of: .dashed, from: dash + 1)
            if end > dash + 1 { found(.gitlabToken, dash - 5, end) }
            tokenEnd = end
        }
    }
    /// True exactly when the value is such a token and nothing else: it is found by itself then.
    private func isToken(_ start: Int, _ end: Int) -> Bool {
        let length = end - start
        func begins(_ prefix: StaticString, _ set: RedactionBytes.Set) -> Bool {
            let count = prefix.utf8CodeUnitCount
            guard length > count, text.slice(start, count).equals(prefix) else { return false }
            return self.end(of: set, from: start + count) >= end
        }
        if kinds.contains(.slackToken), begins("xox", .slack), at(start + 4) == 0x2D, length > 5 { return true }
        if kinds.contains(.gitlabToken), begins("glpat-", .dashed) { return true }
        guard kinds.contains(.githubToken), at(start) == UInt8(ascii: "g") else { return false }
        return begins("ghp_", .word) || begins("gho_", .word) || begins("ghu_", .word) || begins("ghs_", .word)
            || begins("ghr_", .word) || begins("github_pat_", .word)
    }
    private mutating func lookForGitHubToken(_ mark: Int) {
        guard kinds.contains(.githubToken) else { return }
        if mark >= 3, text[mark - 3] == UInt8(ascii: "g"), text[mark - 2] == UInt8(ascii: "h"),
            !RedactionBytes.isWord(at(mark - 4))
        {
            switch text[mark - 1] {
            case UInt8(ascii: "p"), UInt8(ascii: "o"), UInt8(ascii: "u"), UInt8(ascii: "s"), UInt8(ascii: "r"):
                let end = self.end(of: .word, from: mark + 1)
                if end > mark + 1 { found(.githubToken, mark - 3, end) }
            default: break
            }
        } else if mark >= 10, text.slice(mark - 10, 10).equals("github_pat"), !RedactionBytes.isWord(at(mark - 11)) {
            let end = self.end(of: .word, from: mark + 1)
            if end > mark + 1 { found(.githubToken, mark - 10, end) }
        }
    }

    // MARK: behind a blank: Bearer, Basic, namespaces

    private mutating func lookBehindBlank(_ blank: Int) {
        guard blank >= 5 else { return }
        switch text[blank - 1] | 0x20 {
        case UInt8(ascii: "r") where kinds.contains(.token) && stands("bearer", before: blank):
            lookForCredentials(blank, from: blank - 6, takesWords: true)
        case UInt8(ascii: "c") where kinds.contains(.token) && stands("basic", before: blank):
            lookForCredentials(blank, from: blank - 5, takesWords: false)
        case UInt8(ascii: "e") where kinds.contains(.namespace) && stands("namespace", before: blank):
            let next = at(blank + 1)
            let isOption = blank >= 11 && text.slice(blank - 11, 2).equals("--")
            if isOption || next == 0x22 || next == 0x27 { foundNamespace(from: blank + 1) }
        default: break
        }
    }
    /// `takesWords`: plain words too. "Basic plan" is none.
    private mutating func lookForCredentials(_ blank: Int, from start: Int, takesWords: Bool) {
        var place = blank
        while place - blank < Self.blankCountMax, CharacterClasses.isBlank(at(place)) { place += 1 }
        let end = self.end(of: .token68, from: place)
        guard end > place else { return }
        if !takesWords {
            var isPlain = end - place < 16
            for index in place..<end {
                let byte = text[index]
                let isLower = byte &- 97 < 26
                let isDot = byte == UInt8(ascii: ".") && index == end - 1
                if !isLower, !isDot, index > place || !CharacterClasses.isLetter(byte) { isPlain = false }
            }
            guard !isPlain else { return }
        }
        guard !isToken(place, end) else { return }
        found(.token, start, end, valueStart: place)
    }

    // MARK: a name, a sign and a value

    /// `api_key=…`, `"password": "…"`, `namespace=…`.
    private mutating func lookForName(_ sign: Int) {
        guard sign >= valueEnd else { return }
        guard kinds.contains(.apiKey) || kinds.contains(.secret) || kinds.contains(.namespace) else { return }
        var end = sign
        while end > 0, sign - end < Self.blankCountMax, CharacterClasses.isBlank(text[end - 1]) { end -= 1 }
        if end > 0, text[end - 1] == 0x22 || text[end - 1] == 0x27 {
            end -= 1
            if end > 0, text[end - 1] == 0x5C { end -= 1 }
        }
        var start = end
        while start > 0, end - start < Self.nameBytesMax, RedactionBytes.has(.name, text[start - 1]) {
            start -= 1
        }
        guard end - start >= 3, let kind = SecretName.kind(text.slice(start, end - start)), kinds.contains(kind)
        else { return }
        guard kind != .namespace else { return foundNamespace(from: sign + 1) }
        // `token://` is a scheme.
        if text[sign] == UInt8(ascii: ":"), at(sign + 1) == 0x2F, at(sign + 2) == 0x2F { return }
        guard let value = value(from: sign + 1) else { return }
        valueEnd = value.end
        guard !isToken(value.start, value.end) else { return }
        found(kind, start, value.end, valueStart: value.start)
    }
    /// Behind the sign: what stands in quotes, or up to what no value goes on over.
    private func value(from start: Int) -> (start: Int, end: Int)? {
        var place = start
        while place - start < Self.blankCountMax, CharacterClasses.isBlank(at(place)) { place += 1 }
        // Quotes inside a text in quotes.
        if at(place) == 0x5C, at(place + 1) == 0x22 { place += 1 }
        let quote = at(place)
        let value: (start: Int, end: Int)
        if quote == 0x22 || quote == 0x27 {
            place += 1
            var end = place
            while end < text.count, text[end] != quote, text[end] != 0x0A, text[end] != 0x0D {
                // What a backslash stands before goes with it, unless that is the quote.
                if text[end] == 0x5C, at(end + 1) == quote { break }
                end += 1
            }
            value = (place, end)
        } else if let end = RedactionBytes.placeholderEnd(text, from: place) {
            value = (place, self.end(of: .value, from: end))
        } else {
            if quote == 0x5B { place += 1 }
            value = (place, end(of: .value, from: place))
        }
        guard value.end > value.start, !RedactionBytes.isPlaceholder(text.slice(value.start, value.end - value.start))
        else { return nil }
        return value
    }
    private mutating func lookForNamespace(_ sign: Int, behind word: StaticString) {
        guard kinds.contains(.namespace), sign >= 10, text[sign - 1] | 0x20 == UInt8(ascii: "s"),
            stands(word, before: sign)
        else { return }
        foundNamespace(from: sign + 1)
    }
    /// The name alone.
    private mutating func foundNamespace(from start: Int) {
        var place = start
        while place - start < Self.blankCountMax, CharacterClasses.isBlank(at(place)) { place += 1 }
        if at(place) == 0x5C, at(place + 1) == 0x22 { place += 1 }
        if at(place) == 0x22 || at(place) == 0x27 { place += 1 }
        var end = self.end(of: .label, from: place)
        while end > place, text[end - 1] == 0x2E || text[end - 1] == 0x2D { end -= 1 }
        guard end > place, end - place <= 253, !RedactionBytes.isHashedNamespace(text.slice(place, end - place))
        else { return }
        found(.namespace, place, end)
    }

    // MARK: addresses

    private mutating func lookForEmail(_ sign: Int) {
        guard kinds.contains(.email) else { return }
        var start = sign
        while start > 0, sign - start < Self.localBytesMax, RedactionBytes.has(.local, text[start - 1]) {
            start -= 1
        }
        while start < sign, text[start] == 0x2E || text[start] == 0x27 { start += 1 }
        guard start < sign else { return }
        var end = self.end(of: .label, from: sign + 1)
        while end > sign + 1, text[end - 1] == 0x2E || text[end - 1] == 0x2D || text[end - 1] == 0x5F { end -= 1 }
        // The last label is a word of two letters at least.
        var letters = end
        while letters > sign + 1, CharacterClasses.isLetter(text[letters - 1]) || text[letters - 1] >= 0x80 {
            letters -= 1
        }
        guard end - letters >= 2, letters > sign + 2, text[letters - 1] == 0x2E else { return }
        found(.email, start, end)
    }
    private mutating func lookForIPv4(_ dot: Int) {
        guard kinds.contains(.ip), CharacterClasses.isDigit(at(dot - 1)), CharacterClasses.isDigit(at(dot + 1)) else {
            return
        }
        var start = dot - 1
        while start > 0, dot - start < 4, CharacterClasses.isDigit(text[start - 1]) { start -= 1 }
        let before = at(start - 1)
        guard !RedactionBytes.isWord(before), before != 0x2E || !CharacterClasses.isDigit(at(start - 2)) else { return }
        guard let end = endOfIPv4(from: start) else { return }
        found(.ip, start, end)
    }
    private func endOfIPv4(from start: Int) -> Int? {
        var place = start
        for part in 0..<4 {
            var value = 0
            let first = place
            while place - first < 4, CharacterClasses.isDigit(at(place)) {
                value = value * 10 + Int(text[place] - 0x30)
                place += 1
            }
            guard place > first, place - first < 4, value <= 255 else { return nil }
            if part < 3 {
                guard at(place) == 0x2E else { return nil }
                place += 1
            }
        }
        let next = at(place)
        guard !RedactionBytes.isWord(next), next != 0x2E || !CharacterClasses.isDigit(at(place + 1)) else { return nil }
        return place
    }
    /// At the first colon of an address.
    private mutating func lookForIPv6(_ colon: Int) {
        guard kinds.contains(.ip), at(colon - 1) != 0x3A else { return }
        var place = colon
        while place > 0, colon - place < 5, CharacterClasses.isHexadecimal(text[place - 1]) { place -= 1 }
        guard colon - place < 5, !RedactionBytes.isWord(at(place - 1)), at(place - 1) != 0x3A, at(place - 1) != 0x2E
        else { return }
        let start = place
        var groups = 0
        var hasGap = false
        while true {
            let first = place
            while place - first < 5, CharacterClasses.isHexadecimal(at(place)) { place += 1 }
            if place - first > 4 { return }
            if place > first {
                if at(place) == 0x2E, CharacterClasses.isDigit(at(place + 1)), groups > 0 {
                    guard let end = endOfIPv4(from: first) else { return }
                    groups += 2
                    place = end
                    break
                }
                groups += 1
            }
            guard at(place) == 0x3A else { break }
            if at(place + 1) == 0x3A {
                guard !hasGap else { return }
                hasGap = true
                place += 2
                if !CharacterClasses.isHexadecimal(at(place)) { break }
            } else {
                guard CharacterClasses.isHexadecimal(at(place + 1)) else { break }
                place += 1
            }
            if groups > 8 { return }
        }
        guard groups >= 1, hasGap ? groups <= 7 : groups == 8, !RedactionBytes.isWord(at(place)) else { return }
        guard at(place) != 0x3A || !CharacterClasses.isHexadecimal(at(place + 1)), at(place) != 0x3A || !hasGap else {
            return
        }
        // A zone.
        if at(place) == 0x25, RedactionBytes.isWord(at(place + 1)) {
            place = end(of: .word, from: place + 1)
        }
        found(.ip, start, place)
    }

    // MARK: URLs

    private mutating func lookForURL(_ colon: Int) {
        guard kinds.contains(.url), at(colon + 1) == 0x2F, at(colon + 2) == 0x2F, colon >= urlEnd else { return }
        var start = colon
        while start > 0, colon - start < 16, RedactionBytes.isScheme(text[start - 1]) { start -= 1 }
        guard colon - start >= 2 else { return }
        var end = self.end(of: .url, from: colon + 3)
        urlEnd = end
        guard isSecretURL(colon + 3, end) else { return }
        while end > colon + 3 {
            switch text[end - 1] {
            case UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: ")"), UInt8(ascii: "]"),
                UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: "'"):
                end -= 1
                continue
            default: break
            }
            break
        }
        found(.url, start, end)
    }
    /// User information before a host, its own or that of a URL inside it, or a parameter that is a secret.
    private func isSecretURL(_ start: Int, _ end: Int) -> Bool {
        var isAuthority = true
        var wasNamed = false
        var nameStart = start
        var place = start
        while place < end {
            switch text[place] {
            case UInt8(ascii: "/"):
                isAuthority = place > start + 1 && text[place - 1] == 0x2F && text[place - 2] == 0x3A
            case UInt8(ascii: "@") where isAuthority: return true
            case UInt8(ascii: "?"), UInt8(ascii: "&"), UInt8(ascii: "#"), UInt8(ascii: ";"):
                isAuthority = false
                wasNamed = true
                nameStart = place + 1
            case UInt8(ascii: "=") where wasNamed:
                wasNamed = false
                guard isSecretParameter(text.slice(nameStart, place - nameStart)), place + 1 < end else { break }
                switch text[place + 1] {
                case UInt8(ascii: "&"), UInt8(ascii: "#"), UInt8(ascii: ";"): break
                default: return true
                }
            default: break
            }
            place += 1
        }
        return false
    }
    private func isSecretParameter(_ name: ByteView) -> Bool {
        guard name.count > 0, name.count <= Self.nameBytesMax else { return false }
        if let kind = SecretName.kind(name), kind != .namespace { return true }
        return name.equalsIgnoringCase("key") || name.equalsIgnoringCase("sig") || name.equalsIgnoringCase("signature")
            || name.equalsIgnoringCase("auth") || name.equalsIgnoringCase("x-amz-signature")
    }
}
