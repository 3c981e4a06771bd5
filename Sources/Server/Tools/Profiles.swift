// The gateways that somebody has signed in to from this account: by name, each with its address and its key, in a file
// of the user's configuration folder that nobody else may read.
//
// Invariant: at the path is what was there before or all that is new, and of two who change it at once both are heard;
// a file that others may read is not read. A key goes to the address that it was kept for and to no other.
// Safety: the C strings of `open` and `rename` live through the call.
import Engine
import FastPath
import Foundation

package struct Profile: Codable, Equatable, Sendable {
    /// `HOST:PORT` of the control listener, after `https://` where it has TLS.
    package var admin: String
    package var key: String
    /// A file of the authorities that its certificate leads to; nil: the system's.
    package var authorities: String?
    package init(admin: String, key: String, authorities: String? = nil) {
        self.admin = admin
        self.key = key
        self.authorities = authorities
    }
}

package struct Profiles: Codable, Equatable, Sendable {
    /// The one that counts where none is named: who signed in last, or what was chosen since.
    package private(set) var current: String?
    package private(set) var profiles: [String: Profile] = [:]

    package init() {}
    package var names: [String] { profiles.keys.sorted() }
    package subscript(name: String) -> Profile? { profiles[name] }

    package mutating func keep(_ profile: Profile, as name: String) {
        profiles[name] = profile
        current = name
    }
    /// False when there is none of the name.
    package mutating func choose(_ name: String) -> Bool {
        guard profiles[name] != nil else { return false }
        current = name
        return true
    }
    /// False when there is none of the name. What is left counts only when it is chosen: nobody must find himself at
    /// another gateway.
    package mutating func forget(_ name: String) -> Bool {
        guard profiles.removeValue(forKey: name) != nil else { return false }
        if current == name { current = nil }
        return true
    }

    /// 1 to 64 of `a-z A-Z 0-9 . _ -`.
    package static func isName(_ text: String) -> Bool { NameRules.isUID(text) && text.utf8.count <= 64 }
    package static let nameForm = "takes 1 to 64 of the characters a-z A-Z 0-9 . _ -"
}

package struct ProfileError: Error, Equatable {
    package let message: String
}

package struct ProfileFile {
    package let path: String
    package static let variable = "SLUICE_PROFILE"

    package init(path: String) { self.path = path }
    /// `sluice/profiles.json` in `XDG_CONFIG_HOME`, else in `.config` of the home folder.
    package init(environment: [String: String]) throws(ProfileError) {
        let folder = try UserFolder.of("XDG_CONFIG_HOME", else: ".config", environment)
        self.init(path: folder + "/sluice/profiles.json")
    }

    package func read() throws(ProfileError) -> Profiles {
        let manager = FileManager.default
        guard manager.fileExists(atPath: path) else { return Profiles() }
        let mode = (try? manager.attributesOfItem(atPath: path))?[.posixPermissions] as? NSNumber
        guard let mode, mode.intValue & 0o077 == 0 else {
            throw ProfileError(message: "\(path) has keys in it and may be read by others: chmod 600 \(path)")
        }
        guard let data = manager.contents(atPath: path) else {
            throw ProfileError(message: "\(path) cannot be read")
        }
        do { return try JSONDecoder().decode(Profiles.self, from: data) } catch {
            throw ProfileError(message: "\(path) is not what `sluice login` writes; mend it, or remove it")
        }
    }
    /// Reads, changes and writes, while nobody else does. Nothing is written when `change` throws.
    package func change<Value>(_ change: (inout Profiles) throws -> Value) throws -> Value {
        try makeFolder()
        let descriptor = unsafe open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw unwritable(errno) }
        // Closing lets go of the lock.
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw unwritable(errno) }
        }
        var profiles = try read()
        let value = try change(&profiles)
        try write(profiles)
        return value
    }
    private func unwritable(_ code: Int32) -> ProfileError {
        ProfileError(message: "\(path) cannot be written: \(systemText(code))")
    }
    private func makeFolder() throws(ProfileError) {
        do {
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch { throw ProfileError(message: "\(path) cannot be written: \(ConfigurationReading.reason(of: error))") }
    }
    /// Durable when it returns.
    package func write(_ profiles: Profiles) throws(ProfileError) {
        try makeFolder()
        // One of its own, whoever else writes.
        let draft = "\(path).\(ProcessInfo.processInfo.processIdentifier).new"
        do {
            try? FileManager.default.removeItem(atPath: draft)
            guard let handle = PrivateFile.make(draft) else { throw CocoaError(.fileWriteNoPermission) }
            try handle.write(contentsOf: Data((JSONText.of(profiles) + "\n").utf8))
            try handle.synchronize()
            try handle.close()
            guard unsafe rename(draft, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
            try PrivateFile.syncFolder(of: path)
        } catch {
            try? FileManager.default.removeItem(atPath: draft)
            throw ProfileError(message: "\(path) cannot be written: \(ConfigurationReading.reason(of: error))")
        }
    }
}

/// Where a user's own files lie.
enum UserFolder {
    /// What the variable says, when it is an absolute path; else a folder of the home folder.
    static func of(
        _ variable: String, else name: String, _ environment: [String: String]
    ) throws(ProfileError) -> String {
        if let named = environment[variable], named.hasPrefix("/") { return named }
        guard let home = environment["HOME"], home.hasPrefix("/") else {
            throw ProfileError(message: "there is no home folder: neither HOME nor \(variable) names one")
        }
        return home + "/" + name
    }
}
