// Whether a text is a UUID as RFC 9562 §4 writes it. Pure; for loops and workers.

extension ByteView {
    package static var uuidByteCount: Int { 36 }
    /// Five groups with hyphens between, in small letters or capitals, of any version.
    package var isUUID: Bool {
        guard count == ByteView.uuidByteCount else { return false }
        for index in 0..<count {
            let isHyphen = index == 8 || index == 13 || index == 18 || index == 23
            guard isHyphen ? self[index] == 0x2D : CharacterClasses.isHexadecimal(self[index]) else { return false }
        }
        return true
    }
    /// Of the version that this digit names, and RFC 9562's variant (§4.1).
    package func isUUID(version: UInt8) -> Bool {
        guard isUUID, self[14] == version else { return false }
        switch self[19] | 0x20 {
        case 0x38, 0x39, 0x61, 0x62: return true
        default: return false
        }
    }
}
