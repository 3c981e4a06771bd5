// Which gateway a command asks and with which key: what the command line says, then the environment, then what
// `sluice login` kept, then the gateway of this machine. Pure, but for the files that `profiles` and `folderKey` read.
//
// Invariant: a key that was kept for an address goes to no other, and one of the environment to none that nobody named;
// what is said of a key's origin never has the key.
import Engine

package struct GatewayPlace {
    /// Where a gateway is, and its data folder, if it is one of this machine.
    package struct Seat: Equatable, Sendable {
        package var admin: String
        package var dataFolder: String
        package init(admin: String, dataFolder: String) {
            self.admin = admin
            self.dataFolder = dataFolder
        }
    }
    package struct Key: Equatable, Sendable {
        /// Nil when none is at hand.
        package var token: String?
        /// Where it was found or looked for.
        package var origin: String?
        package init(_ token: String?, _ origin: String?) {
            self.token = token
            self.origin = origin
        }
    }
    package struct Answer: Equatable, Sendable {
        /// `HOST:PORT`, after `https://` where it has TLS.
        package var address: String
        package var key: Key
        /// The file of the authorities that its certificate leads to, where the profile names one.
        package var authorities: String?
    }
    package struct Problem: Error, Equatable {
        package let message: String
        package init(message: String) { self.message = message }
    }

    /// The command line.
    package var admin: String?
    package var key: String?
    package var profile: String?
    /// Where the key lies, of a gateway that was started with another folder than its configuration's.
    package var dataFolder: String?
    /// That of a configuration file.
    package var configured: Seat?
    package var environment: [String: String]
    /// Of a gateway that nothing is said of.
    package var standard: Seat

    package init(standard: Seat, environment: [String: String] = [:]) {
        self.standard = standard
        self.environment = environment
    }

    /// `folderKey` reads the platform's key from a data folder.
    package func answer(profiles: () throws -> Profiles, folderKey: (String) -> Key) throws -> Answer {
        if let dataFolder {
            let address = admin ?? configured?.admin ?? standard.admin
            return Answer(
                address: address, key: key.map { Key($0, GatewayPlace.ofOption) } ?? folderKey(dataFolder))
        }
        guard admin == nil && configured == nil else {
            let seat = configured ?? standard
            let address = admin ?? seat.admin
            return Answer(
                address: address, key: plainKey ?? ofFolder(seat, address, isNamed: admin == nil, folderKey))
        }
        if let (name, found) = try chosen(profiles) {
            let kept = Key(found.key, "it is the one of the profile `\(name)`")
            // The environment's key is for the profile that the environment names: not for one that the command line
            // does, and not for whichever happens to be the current one.
            let isOfEnvironment = profile == nil && profileOfEnvironment != nil
            let given = isOfEnvironment ? plainKey : key.map { Key($0, GatewayPlace.ofOption) }
            return Answer(address: found.admin, key: given ?? kept, authorities: found.authorities)
        }
        return Answer(
            address: standard.admin, key: plainKey ?? ofFolder(standard, standard.admin, isNamed: false, folderKey))
    }

    private static let ofOption = "it is the one of --key"
    package static let keyVariable = "SLUICE_KEY"
    /// Of the option, else of the environment.
    private var plainKey: Key? {
        if let key { return Key(key, GatewayPlace.ofOption) }
        guard let key = environment[GatewayPlace.keyVariable], !key.isEmpty else { return nil }
        return Key(key, "it is the one of \(GatewayPlace.keyVariable)")
    }
    /// What lies in a data folder here is for a gateway here, and for the one that the configuration names.
    private func ofFolder(_ seat: Seat, _ address: String, isNamed: Bool, _ folderKey: (String) -> Key) -> Key {
        let host = AddressText.host(of: AdminAddress.bare(address))?.host ?? ""
        return isNamed || BrowserGuard.isLoopback(host) ? folderKey(seat.dataFolder) : Key(nil, nil)
    }
    private var profileOfEnvironment: String? { environment[ProfileFile.variable].flatMap { $0.isEmpty ? nil : $0 } }
    private func chosen(_ read: () throws -> Profiles) throws -> (name: String, profile: Profile)? {
        let profiles = try read()
        guard let name = profile ?? profileOfEnvironment ?? profiles.current else { return nil }
        guard let found = profiles[name] else {
            let advice =
                NearestName.of(name, among: profiles.names).map { "did you mean `\($0)`?" }
                ?? (profiles.names.isEmpty
                    ? "`sluice login` makes one" : "there is \(profiles.names.joined(separator: ", "))")
            throw Problem(message: "there is no profile `\(name)`; \(advice)")
        }
        return (name, found)
    }
}
