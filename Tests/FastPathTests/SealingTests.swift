// Sealed values: they open with their key and their context, as they were sealed, and not otherwise.
import FastPath
import Testing

@Suite struct SealingTests {
    private func key(_ byte: UInt8) throws -> SealingKey {
        try #require(SealingKey([UInt8](repeating: byte, count: SealingKey.byteCount)))
    }

    /// Test case 16 of the specification of GCM (McGrew and Viega), which NIST took over.
    @Test func opensWhatTheSpecificationSealed() throws {
        func bytes(_ hex: String) throws -> [UInt8] { try #require(TextEncoding.bytes(of: hex, as: .hex)) }
        let half = "feffe9928665731c6d6a8f9467308308"
        let key = try #require(SealingKey(try bytes(half + half)))
        let cipher = try #require(AuthenticatedCipher())
        let sealed = try bytes(
            "cafebabefacedbaddecaf888"
                + "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                + "76fc6ece0f4e1768cddf8853bb2d551b")
        let plain = try bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
        let context = try bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        #expect(cipher.open(sealed, under: key, context: context) == plain)
    }
    @Test(arguments: [0, 1, 15, 16, 17, 700, 70_000])
    func opensWhatItSealedAndNeverSealsTwiceAlike(_ count: Int) throws {
        let (cipher, key) = (try #require(AuthenticatedCipher()), try #require(SealingKey.make()))
        let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let first = try #require(cipher.seal(plain, under: key, context: [1]))
        let second = try #require(cipher.seal(plain, under: key, context: [1]))
        #expect(first != second && first.count == count + AuthenticatedCipher.overheadBytes)
        #expect(cipher.open(first, under: key, context: [1]) == plain)
        #expect(cipher.open([9, 9] + second, from: 2, under: key, context: [1]) == plain)
    }
    @Test func anotherKeyContextBitOrLengthOpensNothing() throws {
        let cipher = try #require(AuthenticatedCipher())
        let own = try key(1)
        let sealed = try #require(cipher.seal(Array("geheim".utf8), under: own, context: [1, 2]))
        #expect(cipher.open(sealed, under: try key(2), context: [1, 2]) == nil)
        for context in [[], [1], [2, 1], [1, 2, 3]] as [[UInt8]] {
            #expect(cipher.open(sealed, under: own, context: context) == nil)
        }
        for place in sealed.indices {
            for bit in 0..<8 {
                var changed = sealed
                changed[place] ^= 1 << bit
                #expect(cipher.open(changed, under: own, context: [1, 2]) == nil)
            }
        }
        for count in 0..<sealed.count {
            #expect(cipher.open(Array(sealed.prefix(count)), under: own, context: [1, 2]) == nil)
        }
        #expect(cipher.open(sealed + [0], under: own, context: [1, 2]) == nil)
        #expect(cipher.open(sealed, from: sealed.count + 1, under: own, context: [1, 2]) == nil)
        #expect(cipher.open(sealed, under: own, context: [1, 2]) == Array("geheim".utf8), "it is still usable")
    }
    @Test func aKeyHasThirtyTwoBytesAndItsNameIsNoneOfThem() throws {
        for count in [0, 31, 33] { #expect(SealingKey([UInt8](repeating: 0, count: count)) == nil) }
        let (first, second) = (try key(1), try key(2))
        #expect(first.mac(over: [0]) == (try key(1)).mac(over: [0]))
        #expect(first.mac(over: [0]) != second.mac(over: [0]))
        #expect(first.withSecretBytes { $0 } == [UInt8](repeating: 1, count: 32))
        let made = (0..<50).compactMap { _ in SealingKey.make()?.withSecretBytes { $0 } }
        #expect(Set(made).count == 50)
    }
}
