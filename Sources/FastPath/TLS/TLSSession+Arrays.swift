// A TLS session for callers whose bytes are in arrays, off the loops: copies, and no pointers.
//
// Safety: what is fed is used up, or the session has ended, before the call that has the bytes returns.

/// What came of ciphertext, in the order in which it is to be passed on: `output` to the peer first.
package struct TLSExchange: Sendable {
    package var output: [UInt8] = []
    package var plaintext: [UInt8] = []
    /// Why it went no further.
    package var end = TLSStep.wantsInput
}

extension TLSSession {
    private static var roomBytes: Int { 16_384 }

    /// Goes on as far as `ciphertext` leads; a client begins with none.
    package mutating func exchange(_ ciphertext: [UInt8]) -> TLSExchange {
        var done = TLSExchange()
        var room = [UInt8](repeating: 0, count: TLSSession.roomBytes)
        unsafe ciphertext.withUnsafeBufferPointer { fed in
            if let start = fed.baseAddress { unsafe feed(start, count: fed.count) }
            while true {
                let step = unsafe read(into: &room, room: room.count)
                switch step {
                case .bytes(let count): done.plaintext += room[..<count]
                case .wantsRoom: done.output += takeOutput()
                case .wantsInput, .closed, .failed:
                    done.end = step
                    return
                }
            }
        }
        done.output += takeOutput()
        return done
    }
    /// Records with all of `plaintext`, behind what was to be sent before; nil when the session failed.
    package mutating func seal(_ plaintext: [UInt8]) -> [UInt8]? {
        var sealed: [UInt8] = []
        var sent = 0
        while sent < plaintext.count {
            let rest = plaintext.count - sent
            let taken = unsafe plaintext.withUnsafeBufferPointer { unsafe write($0.baseAddress! + sent, count: rest) }
            guard let taken else { return nil }
            sent += taken
            let output = takeOutput()
            guard !output.isEmpty || taken > 0 else { return nil }
            sealed += output
        }
        return sealed
    }
    /// What is to be sent.
    package mutating func takeOutput() -> [UInt8] {
        var bytes: [UInt8] = []
        while let start = unsafe output {
            let count = outputCount
            unsafe bytes += UnsafeBufferPointer(start: start, count: count)
            sent(count)
        }
        return bytes
    }
    /// A client's, whose peer must prove to be `host`. Nil without memory.
    package init?(connecting context: TLSContextView, to host: String, isAddress: Bool) {
        let name = Array(host.utf8CString)
        unsafe self.init(connecting: context, name: name, isAddress: isAddress)
    }
}
