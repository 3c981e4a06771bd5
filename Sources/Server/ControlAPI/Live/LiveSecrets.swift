// The keys of the running gateway's secrets: shown by name, rotated.
import Engine
import Foundation

final class LiveSecrets: SecretControl {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    private func kept() throws -> SQLiteRegistryStore {
        guard let kept = gateway.kept else { throw ControlError.notRunning }
        return kept
    }

    func secrets(_ caller: Caller) throws -> SecretsResource {
        let kept = try kept()
        do {
            let status = try kept.secretStatus()
            return SecretsResource(
                masterKey: kept.secrets.masterKeyName, keptIn: MasterKeyPlaceName(kept.secrets.place),
                since: TimeText.of(millis: status.sinceMillis), dataKeys: status.dataKeyCount)
        } catch { throw ControlError(.storeUnavailable, "the store cannot be read at the moment; try again") }
    }
    func rewrap(_ order: RewrapOrder, _ caller: Caller) throws -> RewrapResource {
        let kept = try kept()
        do {
            let done = try kept.rotateSecrets(
                renewsDataKeys: order.dataKeys ?? false, actor: ChangeActor(caller),
                nowMillis: Int64(Date().timeIntervalSince1970 * 1000))
            return RewrapResource(
                previousMasterKey: done.before, masterKey: done.after, dataKeys: done.dataKeyCount,
                values: done.valueCount, clean: done.isClean)
        } catch let halted as SecretStore.RotationUnfinished {
            throw ControlError(
                .storeUnavailable,
                "master key \(halted.rotation.after) is in force, and what follows a rotation was not finished: "
                    + "\(halted.reason); the key before it is kept beside it, try again")
        } catch let error as MasterKeyError {
            throw ControlError(.conflict, "\(error)")
        } catch {
            throw ControlError(
                .storeUnavailable,
                "the rotation ended half way: every secret is under the old keys or the new ones, which both are kept; "
                    + "try again (\(error))")
        }
    }
}

extension MasterKeyPlaceName {
    init(_ place: MasterKeyPlace) {
        self =
            switch place {
            case .dataFolder: .dataFolder
            case .file: .file
            case .environment: .environment
            }
    }
}
