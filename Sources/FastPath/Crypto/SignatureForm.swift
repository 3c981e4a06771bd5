// How a delivery is signed where Standard Webhooks is not what the receiver wants, as data: a header, what is signed,
// how a signature is spelled, what is said of the time. And the same compiled, as the egress loop writes it.
//
// Invariants: what is written never has more than `byteCount` bytes, whatever the id and the time; a secret that was
// rotated out signs until its end and then no more. Safety: the compiled form points into the `CompiledMemory` of its
// making and is valid as long as that lives.

package struct SignatureForm: Equatable, Sendable {
    package enum Part: Equatable, Sendable {
        case text(String)
        case id, timestamp, body
    }
    package enum Encoding: String, CaseIterable, Equatable, Sendable { case hex, base64 }

    package var header: String
    package var signed: [Part]
    package var encoding = Encoding.hex
    /// Before each signature.
    package var prefix = ""
    /// Between the signatures of several secrets; nil = the first secret's alone.
    package var separator: String?
    /// The value begins with `t=` and the time, which a comma ends.
    package var beginsWithTime = false
    /// A field that has the time; nil = none.
    package var timestampHeader: String?
    package var secretEncoding = SecretEncoding.text

    package init(header: String, signed: [Part]) {
        self.header = header
        self.signed = signed
    }
    /// What the fields of so many secrets take at most.
    package func byteCount(secretCount: Int) -> Int {
        let count = separator == nil ? 1 : max(secretCount, 1)
        let one = prefix.utf8.count + (encoding == .hex ? 64 : 44)
        let time = timestampHeader.map { $0.utf8.count + FormSigner.digitCountMax + 4 } ?? 0
        let lead = beginsWithTime ? FormSigner.digitCountMax + 3 : 0
        return header.utf8.count + 4 + lead + count * one + (count - 1) * (separator?.utf8.count ?? 0) + time
    }
}

@safe package struct FormSigner: @unchecked Sendable {
    private struct Part {
        enum Kind: UInt8 { case text, id, timestamp, body }
        var kind: Kind
        var text: ByteView
    }
    static let digitCountMax = 20
    private let keys: UnsafePointer<SigningKey>
    /// The last second of each key, `.max` for those without.
    private let lasts: UnsafePointer<UInt64>
    private let keyCount: Int
    private let parts: UnsafePointer<Part>
    private let partCount: Int
    /// `\r\nNAME: ` each; empty where there is none.
    private let timeName: ByteView
    private let name: ByteView
    private let prefix: ByteView
    private let separator: ByteView
    private let isHex: Bool
    private let beginsWithTime: Bool
    let byteCount: Int

    init(
        _ form: SignatureForm, secrets: [String], ending: [EndingSecret], in memory: CompiledMemory
    ) throws(SchemeError) {
        guard !secrets.isEmpty else { throw .noSecret }
        let isList = form.separator != nil
        var compiled: [SigningKey] = []
        var compiledLasts: [UInt64] = []
        for (index, secret) in secrets.prefix(isList ? secrets.count : 1).enumerated() {
            let key = try form.secretEncoding.key(of: secret, index: index)
            compiled.append(SigningKey(secret: key, algorithm: .sha256, in: memory))
            compiledLasts.append(.max)
        }
        for old in ending where isList && old.endSeconds > 0 {
            // One of a form that the endpoint had before is no key of this one, and must not hold up those that are.
            guard let key = try? form.secretEncoding.key(of: old.text, index: 0) else { continue }
            compiled.append(SigningKey(secret: key, algorithm: .sha256, in: memory))
            compiledLasts.append(old.endSeconds == .max ? .max : old.endSeconds - 1)
        }
        unsafe keys = UnsafePointer(memory.place(compiled))
        unsafe lasts = UnsafePointer(memory.place(compiledLasts))
        keyCount = compiled.count
        let places = form.signed.map { part in
            switch part {
            case .text(let text): Part(kind: .text, text: memory.place(text: text))
            case .id: Part(kind: .id, text: .empty)
            case .timestamp: Part(kind: .timestamp, text: .empty)
            case .body: Part(kind: .body, text: .empty)
            }
        }
        unsafe parts = UnsafePointer(memory.place(places))
        partCount = places.count
        timeName = form.timestampHeader.map { memory.place(text: "\r\n\($0): ") } ?? .empty
        name = memory.place(text: "\r\n\(form.header): ")
        prefix = memory.place(text: form.prefix)
        separator = memory.place(text: form.separator ?? "")
        isHex = form.encoding == .hex
        beginsWithTime = form.beginsWithTime
        byteCount = form.byteCount(secretCount: compiled.count)
    }

    /// Writes the fields, each with the line's end before it; returns how many bytes, or 0 (and nothing written) when
    /// `capacity` is too small.
    @_noAllocation @_noLocks
    func write(
        id: ByteView, timestamp: UInt64, body: ByteView, into memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        guard capacity >= byteCount else { return 0 }
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        var tag = MACTag()
        return unsafe withUnsafeMutablePointer(to: &digits) { digitsPointer in
            unsafe withUnsafeMutablePointer(to: &tag) { tagPointer in
                unsafe digitsPointer.withMemoryRebound(to: UInt8.self, capacity: 24) { text in
                    unsafe tagPointer.withMemoryRebound(to: UInt8.self, capacity: MACAlgorithm.digestBytesMax) {
                        let start = unsafe FormSigner.writeDigits(timestamp, into: text)
                        let time = unsafe ByteView(text + start, count: 24 - start)
                        return unsafe write(id, time, timestamp, body, tag: $0, memory)
                    }
                }
            }
        }
    }
    @inline(__always)
    private func write(
        _ id: ByteView, _ time: ByteView, _ now: UInt64, _ body: ByteView, tag: UnsafeMutablePointer<UInt8>,
        _ memory: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var place = 0
        if timeName.count > 0 {
            unsafe FormSigner.put(timeName, memory, &place)
            unsafe FormSigner.put(time, memory, &place)
        }
        unsafe FormSigner.put(name, memory, &place)
        if beginsWithTime {
            unsafe FormSigner.put(ByteView("t="), memory, &place)
            unsafe FormSigner.put(time, memory, &place)
            unsafe FormSigner.put(ByteView(","), memory, &place)
        }
        var isFirst = true
        for index in 0..<keyCount where unsafe now <= lasts[index] {
            var stream = unsafe MACStream(keys[index])
            for part in 0..<partCount {
                switch unsafe parts[part].kind {
                case .text: unsafe stream.add(parts[part].text)
                case .id: stream.add(id)
                case .timestamp: stream.add(time)
                case .body: stream.add(body)
                }
            }
            unsafe stream.finish(into: tag)
            if !isFirst { unsafe FormSigner.put(separator, memory, &place) }
            isFirst = false
            unsafe FormSigner.put(prefix, memory, &place)
            if isHex {
                unsafe TextEncoding.writeHex(ByteView(tag, count: 32), into: memory + place)
                place += 64
            } else {
                unsafe TextEncoding.writeBase64(ByteView(tag, count: 32), into: memory + place)
                place += 44
            }
        }
        return place
    }
    @inline(__always)
    private static func put(_ bytes: ByteView, _ memory: UnsafeMutablePointer<UInt8>, _ place: inout Int) {
        unsafe UnsafeMutableRawPointer(memory + place).copyMemory(from: bytes.base, byteCount: bytes.count)
        place += bytes.count
    }
    /// At the end of 24 bytes; returns where they start.
    @inline(__always)
    private static func writeDigits(_ value: UInt64, into memory: UnsafeMutablePointer<UInt8>) -> Int {
        var place = 24
        var rest = value
        repeat {
            place -= 1
            unsafe memory[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        return place
    }

    /// Allocates; for tests.
    package static func lines(
        _ form: SignatureForm, secrets: [String], ending: [EndingSecret] = [], id: [UInt8], timestamp: UInt64,
        body: [UInt8]
    ) throws(SchemeError) -> String {
        let memory = CompiledMemory()
        let signer = try FormSigner(form, secrets: secrets, ending: ending, in: memory)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: signer.byteCount) { buffer, count in
            count = id.withView { id in
                body.withView {
                    unsafe signer.write(
                        id: id, timestamp: timestamp, body: $0, into: buffer.baseAddress!, capacity: buffer.count)
                }
            }
        }
        return withExtendedLifetime(memory) { String(decoding: bytes, as: UTF8.self) }
    }
}
