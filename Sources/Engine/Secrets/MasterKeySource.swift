// Reads and keeps master keys in the place that the operator chose. Files and variables of the operator's are read and
// never written; the data folder's own file is made at the first start and renewed with a rotation.
import FastPath
import Foundation

package struct MasterKeySource: Sendable {
    package static let fileName = "master.key"
    package let place: MasterKeyPlace
    private let folder: String
    private let environment: @Sendable (String) -> String?

    /// `environment` gives the value of a variable; tests have their own.
    package init(
        _ place: MasterKeyPlace, folder: String,
        environment: @escaping @Sendable (String) -> String? = { ProcessInfo.processInfo.environment[$0] }
    ) {
        self.place = place
        self.folder = folder
        self.environment = environment
    }
    var location: MasterKeyLocation { MasterKeyLocation(place) }
    private var path: String {
        if case .file(let path) = place { path } else { folder + "/" + MasterKeySource.fileName }
    }

    /// The one to wrap with first; empty when the file or the variable is not there.
    func read() throws(MasterKeyError) -> [MasterKey] {
        let text: String
        switch place {
        case .environment(let name):
            guard let value = environment(name), !value.isEmpty else { return [] }
            text = value
        case .dataFolder, .file:
            let bytes: [UInt8]?
            do { bytes = try PrivateFile(path: path).read() } catch {
                throw .unreadable(location, reason: error.reason)
            }
            guard let bytes else { return [] }
            text = String(decoding: bytes, as: UTF8.self)
        }
        let words = text.split(whereSeparator: \.isWhitespace)
        // A file that is there and empty is a key that was lost, not one that was never made.
        guard !words.isEmpty else { throw .malformed(location, number: 1) }
        var keys: [MasterKey] = []
        for (index, word) in words.enumerated() {
            guard let key = MasterKey(word) else { throw .malformed(location, number: index + 1) }
            keys.append(key)
        }
        return keys
    }
    /// Durable when it returns. Of the data folder's file alone.
    func write(_ keys: [MasterKey]) throws(MasterKeyError) {
        precondition(place == .dataFolder)
        let text = keys.map { $0.secretText + "\n" }.joined()
        do { try PrivateFile(path: path).write(Array(text.utf8)) } catch {
            throw .unwritable(location, reason: error.reason)
        }
    }

    /// For a store that has nothing encrypted.
    func first() throws(MasterKeyError) -> MasterKey {
        if let key = try read().first { return key }
        guard place == .dataFolder else { throw .missing(location, wanted: nil) }
        let key = try MasterKey.make()
        try write([key])
        return key
    }
    /// The one of this identity.
    func find(_ identity: [UInt8]) throws(MasterKeyError) -> MasterKey {
        let keys = try read()
        let wanted = TextEncoding.hex(identity)
        guard !keys.isEmpty else { throw .missing(location, wanted: wanted) }
        guard let key = keys.first(where: { $0.identity == identity }) else {
            throw .wrong(location, found: keys.map(\.name), wanted: wanted)
        }
        return key
    }
    /// What takes the place of `old`, which stays beside it until `settle`, as does what a rotation before left there:
    /// whichever of them the store names after a crash, it is there.
    func next(after old: MasterKey) throws(MasterKeyError) -> MasterKey {
        guard place == .dataFolder else {
            guard let first = try read().first else { throw .missing(location, wanted: old.name) }
            guard first.identity != old.identity else { throw .notNew(location, name: old.name) }
            return first
        }
        let key = try MasterKey.make()
        let known = try read()
        try write([key] + (known.contains { $0.identity == old.identity } ? [] : [old]) + known)
        return key
    }
    func settle(on key: MasterKey) throws(MasterKeyError) {
        if place == .dataFolder { try write([key]) }
    }
}

extension KeyFileError {
    fileprivate var reason: String {
        switch self {
        case .unreadable(_, let reason), .unwritable(_, let reason): reason
        case .notAKey: "\(self)"
        }
    }
}
