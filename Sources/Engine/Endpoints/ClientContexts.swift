// The TLS contexts of endpoints: one for all that trust the system and show nothing, one for each other set of files.
// A context lives as long as an endpoint holds it; equal settings share one, so that a hundred thousand endpoints with
// one authority cost one store of certificates.

import FastPath
import Synchronization

package enum ClientContexts {
    private struct Weak { weak var context: TLSContext? }
    private static let known = Mutex<[TLSClientSettings: Weak]>([:])
    /// Never let go: reading the system's certificates takes some ten milliseconds.
    private static let system: Result<TLSContext, TLSSettingsError> = {
        do throws(TLSSettingsError) { return .success(try TLSContext.client(TLSClientSettings())) } catch {
            return .failure(error)
        }
    }()

    package static func context(for tls: EndpointTLS?) throws(EndpointTLSError) -> TLSContext {
        let tls = tls ?? EndpointTLS()
        let settings = try tls.settings()
        do throws(TLSSettingsError) {
            return settings == TLSClientSettings() ? try system.get() : try shared(settings)
        } catch { throw tls.problem(error) }
    }
    private static func shared(_ settings: TLSClientSettings) throws(TLSSettingsError) -> TLSContext {
        if let context = known.withLock({ $0[settings]?.context }) { return context }
        let made = try TLSContext.client(settings)
        return known.withLock { known in
            known = known.filter { $0.value.context != nil }
            // Somebody else may have been quicker.
            if let context = known[settings]?.context { return context }
            known[settings] = Weak(context: made)
            return made
        }
    }
}
