// Signs what goes out, as Standard Webhooks wants it: `v1,<base 64>` over `{id}.{timestamp}.{body}`, one for each key
// while a secret rotates, separated by spaces. A secret that was rotated out signs until its end and then no more, by
// the time that is signed: nobody has to come and take it away. Or, for receivers of Ops-Center's form, `sha256=<hex>`
// over the body with one key, which is the secret's text.
//
// Safety: points into the `CompiledMemory` given at compilation and is valid as long as that lives.

/// A secret that was rotated out.
package struct EndingSecret: Equatable, Codable, Sendable {
    package var text: String
    /// Unix seconds; it signs nothing from then on.
    package var endSeconds: UInt64

    package init(_ text: String, endSeconds: UInt64) {
        self.text = text
        self.endSeconds = endSeconds
    }
}

@safe package struct WebhookSigner: @unchecked Sendable {
    private let keys: UnsafePointer<SigningKey>
    /// The last second of each key, `.max` for those without.
    private let lasts: UnsafePointer<UInt64>
    package let keyCount: Int
    /// Over the body alone, in hexadecimal.
    private let isPlain: Bool
    /// Bytes of one `v1,…`.
    private static let signatureBytes = 3 + 44
    /// Bytes of `sha256=…`.
    private static let plainBytes = 7 + 64

    /// `secrets`: `whsec_` and base 64, or bare base 64; `ending` ones sign behind them. Of `.opsCenter` the first is
    /// the one that signs, as the text that it is. Throws what is wrong with which of
    /// `secrets`.
    package init(
        secrets: [String], ending: [EndingSecret] = [], names: SignatureNames = .webhook, in memory: CompiledMemory
    ) throws(SchemeError) {
        guard let first = secrets.first else { throw .noSecret }
        isPlain = names == .opsCenter
        var compiled: [SigningKey] = []
        var compiledLasts: [UInt64] = []
        if isPlain {
            compiled.append(SigningKey(secret: Array(first.utf8), algorithm: .sha256, in: memory))
            compiledLasts.append(.max)
        } else {
            for (index, secret) in secrets.enumerated() {
                let key = try SecretEncoding.whsec.key(of: secret, index: index)
                compiled.append(SigningKey(secret: key, algorithm: .sha256, in: memory))
                compiledLasts.append(.max)
            }
            for old in ending where old.endSeconds > 0 {
                // One of another form that the endpoint had before must not hold up those that are keys.
                guard let key = try? SecretEncoding.whsec.key(of: old.text, index: 0) else { continue }
                compiled.append(SigningKey(secret: key, algorithm: .sha256, in: memory))
                compiledLasts.append(old.endSeconds - 1)
            }
        }
        unsafe keys = UnsafePointer(memory.place(compiled))
        unsafe lasts = UnsafePointer(memory.place(compiledLasts))
        keyCount = compiled.count
    }

    /// What `sign` writes at most.
    package var byteCount: Int {
        isPlain ? WebhookSigner.plainBytes : keyCount * WebhookSigner.signatureBytes + (keyCount - 1)
    }

    /// Writes the value of the signature's field and returns its length, or 0 (and nothing written) when `capacity` is
    /// too small.
    @_noAllocation @_noLocks
    package func sign(
        id: ByteView, timestamp: UInt64, body: ByteView, into memory: UnsafeMutablePointer<UInt8>, capacity: Int
    ) -> Int {
        guard capacity >= byteCount else { return 0 }
        guard !isPlain else { return unsafe writePlain(body, memory) }
        // 1 + 20 digits + 1; filled from its end.
        var text: (UInt64, UInt64, UInt64) = (0, 0, 0)
        var tag = MACTag()
        return unsafe withUnsafeMutablePointer(to: &text) { textPointer in
            unsafe withUnsafeMutablePointer(to: &tag) { tagPointer in
                unsafe textPointer.withMemoryRebound(to: UInt8.self, capacity: 24) { middle in
                    unsafe tagPointer.withMemoryRebound(to: UInt8.self, capacity: MACAlgorithm.digestBytesMax) {
                        tagBytes in
                        let start = unsafe WebhookSigner.writeMiddle(timestamp, into: middle)
                        let joint = unsafe ByteView(middle + start, count: 24 - start)
                        return unsafe write(id, joint, body, timestamp, tagBytes, memory)
                    }
                }
            }
        }
    }

    @inline(__always)
    private func writePlain(_ body: ByteView, _ memory: UnsafeMutablePointer<UInt8>) -> Int {
        // `sha256=`
        unsafe memory[0] = 0x73
        unsafe memory[1] = 0x68
        unsafe memory[2] = 0x61
        unsafe memory[3] = 0x32
        unsafe memory[4] = 0x35
        unsafe memory[5] = 0x36
        unsafe memory[6] = 0x3D
        return unsafe 7 + keys[0].writeHex(over: body, into: memory + 7)
    }
    @inline(__always)
    private func write(
        _ id: ByteView, _ joint: ByteView, _ body: ByteView, _ now: UInt64, _ tag: UnsafeMutablePointer<UInt8>,
        _ memory: UnsafeMutablePointer<UInt8>
    ) -> Int {
        var place = 0
        for index in 0..<keyCount where unsafe now <= lasts[index] {
            var stream = unsafe MACStream(keys[index])
            stream.add(id)
            stream.add(joint)
            stream.add(body)
            unsafe stream.finish(into: tag)
            if place > 0 {
                unsafe memory[place] = 0x20
                place += 1
            }
            unsafe memory[place] = 0x76
            unsafe memory[place + 1] = 0x31
            unsafe memory[place + 2] = 0x2C
            unsafe TextEncoding.writeBase64(ByteView(tag, count: 32), into: memory + place + 3)
            place += WebhookSigner.signatureBytes
        }
        return place
    }
    /// `.<timestamp>.` at the end of 24 bytes; returns where it starts.
    @inline(__always)
    private static func writeMiddle(_ timestamp: UInt64, into memory: UnsafeMutablePointer<UInt8>) -> Int {
        var place = 23
        unsafe memory[place] = 0x2E
        var rest = timestamp
        repeat {
            place -= 1
            unsafe memory[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        place -= 1
        unsafe memory[place] = 0x2E
        return place
    }

    /// Allocates; for worker threads and tests.
    package func signature(id: [UInt8], timestamp: UInt64, body: [UInt8]) -> String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count = id.withView { idView in
                body.withView {
                    unsafe sign(
                        id: idView, timestamp: timestamp, body: $0, into: buffer.baseAddress!, capacity: buffer.count)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
