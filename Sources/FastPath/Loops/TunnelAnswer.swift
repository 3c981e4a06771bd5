// A proxy's answer to CONNECT, read as it comes: its status and where its head ends. Pure; keeps no bytes, because
// nothing else of the head matters.

struct TunnelAnswer: BitwiseCopyable {
    enum Progress: Equatable {
        case more
        /// The tunnel stands; what follows the head begins at so many bytes of those given.
        case open(Int)
        /// 0 for what is no answer.
        case refused(UInt16)
    }
    private static var byteCountMax: Int { 16_384 }
    private var count = 0
    private var status: UInt16 = 0
    /// How much of CR LF CR LF was seen last.
    private var ended = 0

    mutating func take(_ bytes: ByteView) -> Progress {
        for index in 0..<bytes.count {
            guard take(bytes[index]) else { return .refused(0) }
            if ended == 4 { return (200...299).contains(status) ? .open(index + 1) : .refused(status) }
        }
        return count < TunnelAnswer.byteCountMax ? .more : .refused(0)
    }
    /// False when the line is none of HTTP/1.
    private mutating func take(_ byte: UInt8) -> Bool {
        let begin = ByteView("HTTP/1.")
        defer { count += 1 }
        switch count {
        case 0..<7: guard byte == begin[count] else { return false }
        case 9...11:
            guard byte &- 48 < 10 else { return false }
            status = status * 10 + UInt16(byte &- 48)
        default: break
        }
        let wanted: UInt8 = ended % 2 == 0 ? 0x0D : 0x0A
        ended = byte == wanted ? ended + 1 : byte == 0x0D ? 1 : 0
        return true
    }
}
