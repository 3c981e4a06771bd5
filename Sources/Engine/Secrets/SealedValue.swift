// The form of what is sealed: a version, the generation of the tenant's data key, and what `AuthenticatedCipher` made.
// And of a data key that a master key wraps: a version, and the same.
//
// Invariant: the additional data names the tenant, the resource, the field and the key's generation, so a value opens
// in the row that it was written to and in no other; a version that is not known is refused, never guessed at.
import FastPath

/// What a value belongs to.
package struct SecretPlace: Equatable, Sendable {
    package var tenant: TenantID
    package var kind: ResourceKind
    package var number: UInt32
    package var field: String

    package init(_ tenant: TenantID, _ kind: ResourceKind, _ number: UInt32, _ field: String) {
        self.tenant = tenant
        self.kind = kind
        self.number = number
        self.field = field
    }
    fileprivate func context(_ generation: UInt32) -> [UInt8] {
        var bytes = Array("sluice value".utf8)
        bytes.append(SealedValue.version)
        bytes.append(bigEndian: tenant.number)
        bytes.append(kind.rawValue)
        bytes.append(bigEndian: number)
        bytes.append(bigEndian: generation)
        return bytes + Array(field.utf8)
    }
}

/// One tenant's.
struct DataKey: Sendable {
    let tenant: TenantID
    /// Grows by one with each new key of the tenant.
    let generation: UInt32
    let key: SealingKey

    static func make(_ tenant: TenantID, generation: UInt32) throws(MasterKeyError) -> DataKey {
        guard let key = SealingKey.make() else { throw .noRandomness }
        return DataKey(tenant: tenant, generation: generation, key: key)
    }
    private static func context(_ tenant: TenantID, _ generation: UInt32, _ master: MasterKey) -> [UInt8] {
        var bytes = Array("sluice data key".utf8)
        bytes.append(SealedValue.version)
        bytes.append(bigEndian: tenant.number)
        bytes.append(bigEndian: generation)
        return bytes + master.identity
    }
    func wrapped(by master: MasterKey, _ cipher: AuthenticatedCipher) throws(MasterKeyError) -> [UInt8] {
        let context = DataKey.context(tenant, generation, master)
        let sealed = key.withSecretBytes { cipher.seal($0, under: master.key, context: context) }
        guard let sealed else { throw .noRandomness }
        return [SealedValue.version] + sealed
    }
    /// Nil when it is not what was wrapped.
    init?(
        _ wrapped: [UInt8], tenant: TenantID, generation: UInt32, master: MasterKey, _ cipher: AuthenticatedCipher
    ) {
        guard wrapped.first == SealedValue.version,
            let bytes = cipher.open(
                wrapped, from: 1, under: master.key, context: DataKey.context(tenant, generation, master)),
            let key = SealingKey(bytes)
        else { return nil }
        self.init(tenant: tenant, generation: generation, key: key)
    }
    private init(tenant: TenantID, generation: UInt32, key: SealingKey) {
        self.tenant = tenant
        self.generation = generation
        self.key = key
    }
}

enum SealedValue {
    static let version: UInt8 = 1
    static let headBytes = 5

    static func seal(
        _ plain: [UInt8], _ place: SecretPlace, _ key: DataKey, _ cipher: AuthenticatedCipher
    ) throws(MasterKeyError) -> [UInt8] {
        let context = place.context(key.generation)
        guard let sealed = cipher.seal(plain, under: key.key, context: context) else { throw .noRandomness }
        var bytes = [version]
        bytes.append(bigEndian: key.generation)
        return bytes + sealed
    }
    /// Nil when it is not what was sealed for this place under this key.
    static func open(
        _ sealed: [UInt8], _ place: SecretPlace, _ key: DataKey, _ cipher: AuthenticatedCipher
    ) -> [UInt8]? {
        guard sealed.count >= headBytes, sealed[0] == version, generation(of: sealed) == key.generation else {
            return nil
        }
        return cipher.open(sealed, from: headBytes, under: key.key, context: place.context(key.generation))
    }
    private static func generation(of sealed: [UInt8]) -> UInt32 {
        sealed[1..<headBytes].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(bigEndian value: UInt32) {
        for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}
